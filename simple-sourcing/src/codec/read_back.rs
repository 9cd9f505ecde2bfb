use std::fmt::Debug;

/// The value that was read, if it is the one that was written.
///
/// # Errors
/// When they differ; the message shows where.
pub(super) fn compare<T: PartialEq + Debug>(written: &T, read: T) -> Result<T, String> {
    if read == *written { Ok(read) } else { Err(difference(written, &read)) }
}

fn difference(written: &dyn Debug, read: &dyn Debug) -> String {
    let (written, read) = (format!("{written:#?}"), format!("{read:#?}"));
    // One of them may be longer than the other.
    let lines = written.lines().map(Some).chain([None]).zip(read.lines().map(Some).chain([None]));
    // The lines that enclose the current one, by their indentation.
    let mut within: Vec<(usize, &str)> = Vec::new();
    for (written, read) in lines {
        let line = written.unwrap_or_default();
        let indentation = line.len() - line.trim_start().len();
        within.retain(|(outer, _)| *outer < indentation);
        if written != read {
            let fields: Vec<_> = within.iter().filter_map(|(_, line)| Some(line.split_once(": ")?.0)).collect();
            let place = if fields.is_empty() { String::new() } else { format!(" at `{}`", fields.join(".")) };
            let (written, read) = (shown(written), shown(read));
            return format!("is read back as another value{place}: `{written}` was written, `{read}` is read");
        }
        within.push((indentation, line.trim_start()));
    }
    "does not equal what is read back from it, as a NaN never does".to_owned()
}

fn shown(line: Option<&str>) -> &str {
    line.unwrap_or_default().trim().trim_end_matches(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Due {
        on: Option<Option<f64>>,
    }

    #[test]
    fn the_place_of_a_difference_is_named() {
        let due = |on| Due { on };
        assert_eq!(compare(&due(None), due(None)), Ok(due(None)));
        assert_eq!(
            difference(&(1, due(Some(Some(1.0)))), &(1, due(Some(Some(2.0))))),
            "is read back as another value at `on`: `1.0` was written, `2.0` is read"
        );
        assert_eq!(
            difference(&due(Some(None)), &due(None)),
            "is read back as another value: `on: Some(` was written, `on: None` is read"
        );
        assert!(difference(&f64::NAN, &f64::NAN).contains("NaN"));
    }
}
