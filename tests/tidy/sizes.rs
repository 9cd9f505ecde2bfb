use proc_macro2::Span;
use syn::{
    Block, ImplItemFn, ItemFn, Signature,
    spanned::Spanned,
    visit::{Visit, visit_impl_item_fn, visit_item_fn},
};

use crate::crates::{Crate, PUBLISHED};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn a_file_has_at_most_500_lines() {
    let crates = PUBLISHED.map(Crate::read);
    let files = crates.iter().flat_map(|of| of.modules.values());
    let long =
        files.map(|module| (&module.file, module.text.lines().count())).filter(|(_, lines)| *lines > FILE_LINES_MAX);
    let long: Vec<_> = long.map(|(file, lines)| format!("`{}` has {lines} lines", file.display())).collect();
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

#[test]
fn a_function_has_at_most_70_lines() {
    let mut long = Vec::new();
    for of in PUBLISHED.map(Crate::read) {
        for module in of.modules.values() {
            let mut functions = Functions(Vec::new());
            functions.visit_file(&module.syntax);
            let over = functions.0.into_iter().filter(|(_, lines)| *lines > FUNCTION_LINES_MAX);
            long.extend(over.map(|(name, lines)| format!("`{name}` in `{}` has {lines} lines", module.file.display())));
        }
    }
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

/// The functions of a file, and how many lines each has.
struct Functions(Vec<(String, usize)>);

impl Functions {
    fn add(&mut self, signature: &Signature, block: &Block) {
        let lines = |span: Span| (span.start().line, span.end().line);
        let ((start, _), (_, end)) = (lines(signature.span()), lines(block.span()));
        self.0.push((signature.ident.to_string(), end - start + 1));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.add(&function.sig, &function.block);
        visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit_impl_item_fn(self, function);
    }
}
