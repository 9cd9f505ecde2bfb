//! The names in the code of a file.

use syn::{
    Path, UseTree,
    visit::{Visit, visit_item_mod, visit_path, visit_use_tree},
};

use crate::crates::Module;

/// Those of paths and imports, except for its tests.
pub(crate) fn names(module: &Module) -> impl Iterator<Item = String> {
    let mut names = Names(Vec::new());
    names.visit_file(&module.syntax);
    names.0.into_iter()
}

struct Names(Vec<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.ident != "tests" {
            visit_item_mod(self, item);
        }
    }

    fn visit_use_tree(&mut self, tree: &'ast UseTree) {
        match tree {
            UseTree::Path(path) => self.0.push(path.ident.to_string()),
            UseTree::Name(name) => self.0.push(name.ident.to_string()),
            UseTree::Rename(rename) => self.0.push(rename.ident.to_string()),
            _ => {}
        }
        visit_use_tree(self, tree);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        // A variable may be called `now`.
        if path.segments.len() > 1 {
            self.0.extend(path.segments.iter().map(|segment| segment.ident.to_string()));
        }
        visit_path(self, path);
    }
}
