//! Each macro is one function here: parse, model, validate, expand, with the fallback after any mistake.

use proc_macro2::TokenStream;

use crate::{diagnostics::Errors, expand, fallback, model, parse, validate};

pub(crate) fn event(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let input = match parse::event(args, item.clone(), &mut errors) {
        Ok(input) => input,
        Err(error) => return fallback::unreadable(item, error, errors),
    };
    let model = model::Event::new(input);
    validate::event(&model, &mut errors);
    match errors.check() {
        Ok(()) => expand::event::expand(&model),
        Err(errors) => fallback::event(model, &errors),
    }
}

pub(crate) fn command(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let input = match parse::command(args, item.clone(), &mut errors) {
        Ok(input) => input,
        Err(error) => return fallback::unreadable(item, error, errors),
    };
    let model = model::Command::new(input);
    validate::command(&model, &mut errors);
    match errors.check() {
        Ok(()) => expand::command::expand(&model),
        Err(errors) => fallback::command(model, &errors),
    }
}

pub(crate) fn aggregate(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let input = match parse::aggregate(args, item.clone(), &mut errors) {
        Ok(input) => input,
        Err(error) => return fallback::unreadable(item, error, errors),
    };
    let model = model::Aggregate::new(input);
    validate::aggregate(&model, &mut errors);
    match errors.check() {
        Ok(()) => expand::aggregate::expand(&model),
        Err(errors) => fallback::aggregate(&model, &errors),
    }
}

pub(crate) fn projection(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let input = match parse::projection(args, item.clone(), &mut errors) {
        Ok(input) => input,
        Err(error) => return fallback::unreadable(item, error, errors),
    };
    let model = model::Projection::new(input);
    validate::projection(&model, &mut errors);
    match errors.check() {
        Ok(()) => expand::projection::expand(&model),
        Err(errors) => fallback::projection(&model, &errors),
    }
}

pub(crate) fn key(item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let input = match parse::key(item, &mut errors) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let model = model::Key::new(input);
    validate::key(&model, &mut errors);
    match errors.check() {
        Ok(()) => expand::key::expand(&model),
        Err(errors) => fallback::key(&model, &errors),
    }
}

pub(crate) fn described(item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let input = match parse::described(item, &mut errors) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let model = model::Described::new(input);
    validate::described(&model, &mut errors);
    match errors.check() {
        Ok(()) => expand::described::expand(&model),
        Err(errors) => fallback::described(&model, &errors),
    }
}
