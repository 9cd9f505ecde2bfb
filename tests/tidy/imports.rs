//! What a file uses of its own crate.

use std::{collections::BTreeSet, iter};

use syn::{
    ItemMod, ItemUse, Path, UseTree, Visibility,
    visit::{Visit, visit_item_mod, visit_path},
};

use crate::crates::{Crate, Module, ModulePath};

/// What a file re-exports: the new name, and the path.
pub(crate) type Export = (String, ModulePath);

/// The paths of a file that lead into its own crate, from the root of the crate: `engine::Outcome`.
pub(crate) struct Imports {
    /// What its code uses.
    pub(crate) used: BTreeSet<ModulePath>,
    pub(crate) exported: Vec<Export>,
}

impl Imports {
    pub(crate) fn of(path: &[String], module: &Module) -> Self {
        let imports = Imports { used: BTreeSet::new(), exported: Vec::new() };
        let mut visitor = Visitor { file: path.len(), path: path.to_vec(), imports };
        visitor.visit_file(&module.syntax);
        visitor.imports
    }
}

/// The module that contains the target of a path, through re-exports.
pub(crate) fn resolve(of: &Crate, exported: &dyn Fn(&[String]) -> Vec<Export>, path: &[String]) -> ModulePath {
    let mut path = path.to_vec();
    // Each step follows one re-export, and they don't form a cycle.
    for _ in 0..8 {
        let depth = (0..=path.len()).rev().find(|&depth| of.modules.contains_key(&path[..depth]));
        let (module, rest) = path.split_at(depth.unwrap_or(0));
        let Some(name) = rest.first() else { return path };
        let exports = exported(module);
        let by_name = exports.iter().find(|(exported, _)| exported == name).map(|(_, to)| to.clone());
        let by_glob = || {
            let globs = exports.iter().filter(|(exported, _)| exported == "*").map(|(_, to)| to);
            let mut globs = globs.filter(|to| exported(to).iter().any(|(exported, _)| exported == name));
            globs.next().map(|to| to.iter().cloned().chain([name.clone()]).collect())
        };
        let Some(to) = by_name.or_else(by_glob) else { return module.to_vec() };
        path = to.into_iter().chain(rest[1..].iter().cloned()).collect();
    }
    path
}

struct Visitor {
    /// The length of the file's path. A module within it has a longer one.
    file: usize,
    path: ModulePath,
    imports: Imports,
}

impl Visitor {
    /// A path from the root of the crate; none if it leads elsewhere.
    fn absolute(&self, path: &[String]) -> Option<ModulePath> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some(self.path.iter().chain(rest).cloned().collect()),
            "super" => {
                let parent = Visitor { file: 0, path: self.path.split_last()?.1.to_vec(), imports: Imports::empty() };
                let next = if rest.first().is_some_and(|next| next == "super") { "" } else { "self" };
                let path: Vec<_> =
                    iter::once(next.to_owned()).filter(|next| !next.is_empty()).chain(rest.to_vec()).collect();
                parent.absolute(&path)
            }
            _ => None,
        }
    }
}

impl Imports {
    fn empty() -> Self {
        Imports { used: BTreeSet::new(), exported: Vec::new() }
    }
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let mut leaves = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut leaves);
        for (name, path) in leaves {
            let Some(path) = self.absolute(&path).or_else(|| {
                // `pub use record::Outcome` of a module that is declared in the same file.
                let is_export = !matches!(item.vis, Visibility::Inherited);
                is_export.then(|| self.path.iter().chain(&path).cloned().collect())
            }) else {
                continue;
            };
            match item.vis {
                Visibility::Inherited => {
                    self.imports.used.insert(path);
                }
                _ if self.path.len() == self.file => self.imports.exported.push((name, path)),
                _ => {}
            }
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let is_test = item.attrs.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
        });
        if !is_test && item.content.is_some() {
            self.path.push(item.ident.to_string());
            visit_item_mod(self, item);
            self.path.pop();
        }
    }

    /// `pub(in crate::worker)` uses nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let Some(path) = self.absolute(&segments).filter(|path| !path.is_empty() && segments.len() > 1) {
            self.imports.used.insert(path);
        }
        visit_path(self, path);
    }
}

/// The leaves of `use a::{b, c as d}`: the names that they bring, and their paths.
fn flatten(tree: &UseTree, prefix: &mut Vec<String>, leaves: &mut Vec<(String, Vec<String>)>) {
    let mut leaf = |name: String, last: Option<String>| {
        let path = prefix.iter().cloned().chain(last).collect();
        leaves.push((name, path));
    };
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            flatten(&path.tree, prefix, leaves);
            prefix.pop();
        }
        UseTree::Name(name) if name.ident == "self" => leaf(prefix.last().cloned().unwrap_or_default(), None),
        UseTree::Name(name) => leaf(name.ident.to_string(), Some(name.ident.to_string())),
        UseTree::Rename(rename) => leaf(rename.rename.to_string(), Some(rename.ident.to_string())),
        UseTree::Glob(_) => leaf("*".to_owned(), None),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, prefix, leaves)),
    }
}
