use syn::{
    Path, UseTree,
    visit::{Visit, visit_path},
};

use crate::crates::Crate;

/// What the engine, and what lies beneath it, must do without: whoever drives it has the time, the threads and the disk.
const IMPURE: [&str; 14] = [
    "tokio",
    "fs",
    "net",
    "io",
    "thread",
    "process",
    "mpsc",
    "SystemTime",
    "Instant",
    "now",
    "rand",
    "fastrand",
    "Mutex",
    "env",
];

/// Names that are written somewhere in a file, in code and not in its tests.
struct Names(Vec<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.ident != "tests" {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_use_tree(&mut self, tree: &'ast UseTree) {
        match tree {
            UseTree::Path(path) => self.0.push(path.ident.to_string()),
            UseTree::Name(name) => self.0.push(name.ident.to_string()),
            UseTree::Rename(rename) => self.0.push(rename.ident.to_string()),
            _ => {}
        }
        syn::visit::visit_use_tree(self, tree);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        // A variable may be called `now`.
        if path.segments.len() > 1 {
            self.0.extend(path.segments.iter().map(|segment| segment.ident.to_string()));
        }
        visit_path(self, path);
    }
}

#[test]
fn the_engine_has_no_input_output_clock_thread_or_chance() {
    let core = Crate::read("simple-sourcing");
    let engine = core
        .modules
        .iter()
        .filter(|(path, _)| path.first().is_some_and(|first| ["engine", "codec"].contains(&first.as_str())));
    let mut impure = Vec::new();
    for (_, module) in engine {
        let mut names = Names(Vec::new());
        names.visit_file(&module.syntax);
        let found = names.0.iter().filter(|name| IMPURE.contains(&name.as_str()));
        impure.extend(found.map(|name| format!("`{}` uses `{name}`", module.file.display())));
    }
    assert!(impure.is_empty(), "\n{}", impure.join("\n"));
}
