//! The source files of a crate, parsed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The path of a module within its crate: `engine::processor`. That of `lib.rs` is empty.
pub(crate) type ModulePath = Vec<String>;

/// A file of a crate.
pub(crate) struct Module {
    pub(crate) file: PathBuf,
    pub(crate) text: String,
    pub(crate) syntax: syn::File,
}

/// A crate of this workspace.
pub(crate) struct Crate {
    pub(crate) modules: BTreeMap<ModulePath, Module>,
}

/// Those that are published: their folders.
pub(crate) const PUBLISHED: [&str; 4] =
    ["simple-sourcing-derive", "simple-sourcing", "simple-sourcing-kafka", "simple-sourcing/sql"];

/// Those of them whose modules are layers: their `lib.rs` has a table of modules.
pub(crate) const LAYERED: [&str; 3] = ["simple-sourcing", "simple-sourcing-kafka", "simple-sourcing/sql"];

impl Crate {
    /// Reads the crate in this folder of the workspace.
    pub(crate) fn read(name: &'static str) -> Self {
        let source = workspace().join(name).join("src");
        let mut modules = BTreeMap::new();
        collect(&source, &source, &mut modules);
        Crate { modules }
    }

    /// The rows of the table of modules in the documentation of the crate, from the top.
    pub(crate) fn layers(&self) -> Vec<String> {
        let root = &self.modules[&ModulePath::new()];
        let rows = root.text.lines().filter_map(|line| line.strip_prefix("//! | "));
        let names = rows.filter_map(|row| row.split(" | ").next());
        // Of a link, what it shows; a folder has a slash.
        names.filter_map(|name| name.split('`').nth(1)).map(|name| name.trim_end_matches('/').to_owned()).collect()
    }
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package is a folder of the workspace")
}

fn collect(source: &Path, folder: &Path, modules: &mut BTreeMap<ModulePath, Module>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("`{}`: {error}", folder.display())) {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            collect(source, &path, modules);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
            let file = path.strip_prefix(workspace()).expect("it is in the workspace").to_owned();
            modules.insert(module_path(source, &path), Module { file, text, syntax });
        }
    }
}

fn module_path(source: &Path, file: &Path) -> ModulePath {
    let path = file.strip_prefix(source).expect("it is in the source folder").with_extension("");
    let mut path: ModulePath = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| ["mod", "lib"].contains(&last.as_str())) {
        path.pop();
    }
    path
}
