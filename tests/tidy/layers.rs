use std::collections::{BTreeMap, BTreeSet};

use crate::{
    crates::{Crate, LAYERED, ModulePath, PUBLISHED},
    imports::{Imports, resolve},
    names::names,
};

/// Modules outside of the layers: what generated code uses, and crates' own tests of several modules.
const OUTSIDE: [&str; 2] = ["private", "tests"];

/// Code that uses a crate as its users do, by names and not by modules.
const LIKE_USERS: [&str; 2] = ["testing", "conformance"];

/// For each file of a crate, the other files of it that it uses.
fn uses(of: &Crate) -> BTreeMap<ModulePath, BTreeSet<ModulePath>> {
    let imports: BTreeMap<_, _> = of.modules.iter().map(|(path, module)| (path, Imports::of(path, module))).collect();
    let exported =
        |path: &[String]| imports.get(&path.to_vec()).map_or_else(Vec::new, |imports| imports.exported.clone());
    let uses = imports.iter().map(|(path, imports)| {
        let used = imports.used.iter().map(|used| resolve(of, &exported, used)).filter(|used| used != *path);
        ((*path).clone(), used.collect())
    });
    uses.filter(|(path, _)| !is_test(path)).collect()
}

fn is_test(path: &[String]) -> bool {
    path.iter().any(|part| part == "tests" || part == "simulation")
}

fn top(path: &[String]) -> Option<&String> {
    path.first().filter(|first| !OUTSIDE.contains(&first.as_str()))
}

#[test]
fn a_module_uses_only_those_above_it_in_the_table_of_its_crate() {
    let mut broken = Vec::new();
    for name in LAYERED {
        let of = Crate::read(name);
        let layers = of.layers();
        let rank = |module: &String| layers.iter().position(|layer| layer == module);
        for (path, used) in uses(&of) {
            let Some(module) = top(&path) else { continue };
            let Some(own) = rank(module) else {
                broken.push(format!("{name}: `{module}` is missing in the table of modules in `lib.rs`"));
                continue;
            };
            for used in used.iter().filter_map(|used| Some((used, top(used)?))).filter(|(_, used)| *used != module) {
                if rank(used.1).is_none_or(|other| other > own) {
                    broken.push(format!(
                        "{name}: `{}` uses `{}`, a layer that uses it",
                        path.join("::"),
                        used.0.join("::")
                    ));
                }
            }
        }
        for layer in layers.iter().filter(|layer| !of.modules.keys().any(|path| path.first() == Some(layer))) {
            broken.push(format!("{name}: the table of modules in `lib.rs` names `{layer}`, which is none"));
        }
    }
    broken.dedup();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn what_a_file_uses_of_another_module_it_names_by_its_module() {
    let mut broken = Vec::new();
    for name in LAYERED {
        let of = Crate::read(name);
        for (path, module) in of.modules.iter().filter(|(path, _)| !is_test(path)) {
            if top(path).is_none_or(|top| LIKE_USERS.contains(&top.as_str())) {
                continue;
            }
            let imports = Imports::of(path, module);
            let flat = imports.used.iter().filter(|used| used.len() == 1 && !of.modules.contains_key(&used[..1]));
            broken.extend(flat.map(|used| format!("`{}` uses `crate::{}`", module.file.display(), used.join("::"))));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn one_folder_alone_knows_the_client_library() {
    let kafka = Crate::read("simple-sourcing-kafka");
    let others =
        kafka.modules.iter().filter(|(path, _)| !path.starts_with(&["driver".to_owned(), "librdkafka".to_owned()]));
    let named = others.filter(|(path, module)| names(module).any(|name| name == "rdkafka") && !is_test(path));
    let named: Vec<_> = named.map(|(_, module)| format!("`{}` names rdkafka", module.file.display())).collect();
    assert!(named.is_empty(), "\n{}", named.join("\n"));
}

#[test]
fn no_two_files_use_each_other() {
    let mut broken = Vec::new();
    for name in PUBLISHED {
        let uses = uses(&Crate::read(name));
        let reaches = |from: &ModulePath| {
            let (mut reached, mut left) = (BTreeSet::new(), vec![from]);
            while let Some(path) = left.pop() {
                for used in uses.get(path).into_iter().flatten() {
                    if reached.insert(used) {
                        left.push(used);
                    }
                }
            }
            reached
        };
        let reached: BTreeMap<_, _> = uses.keys().map(|path| (path, reaches(path))).collect();
        // Its traits and values refer to each other: an aggregate to its commands, a command to its events.
        let is_model = |path: &[String]| path.first().is_some_and(|first| first == "model");
        for (path, used) in uses.iter().filter(|(path, _)| !is_model(path)) {
            let circle = used.iter().filter(|used| reached.get(used).is_some_and(|back| back.contains(path)));
            broken.extend(
                circle.map(|used| format!("{name}: `{}` uses `{}`, and back", path.join("::"), used.join("::"))),
            );
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}
