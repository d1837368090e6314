//! What a token is good for, as registries ask for it (the Distribution project's "Token Scope Documentation"):
//! `repository:library/busybox:pull,push`, several with blanks between them.

/// What was asked for, each thing once with all that is to be done to it.
#[derive(Debug, Default)]
pub(super) struct Scopes(Vec<(String, Vec<String>)>);

impl Scopes {
    /// Adds what a registry asks for.
    pub(super) fn add(&mut self, text: &str) {
        for scope in text.split(' ').filter(|scope| !scope.is_empty()) {
            // the name of a registry may have a port in it
            let (of, actions) = scope.rsplit_once(':').unwrap_or((scope, ""));
            let at = self.0.iter().position(|(known, _)| known == of).unwrap_or_else(|| {
                self.0.push((of.to_owned(), Vec::new()));
                self.0.len() - 1
            });
            let Some((_, known)) = self.0.get_mut(at) else { continue };
            for action in actions.split(',').filter(|action| !action.is_empty()) {
                if !known.iter().any(|other| other == action) {
                    known.push(action.to_owned());
                }
            }
        }
    }

    /// One text for each thing.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(of, actions)| match actions.as_slice() {
            [] => of.clone(),
            actions => format!("{of}:{}", actions.join(",")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_asked_for_is_lost() {
        let mut scopes = Scopes::default();
        for (text, all) in [
            ("", ""),
            ("repository:a/b:pull", "repository:a/b:pull"),
            ("repository:a/b:pull,push", "repository:a/b:pull,push"),
            ("repository:a/b:pull", "repository:a/b:pull,push"),
            (
                "repository:h:5000/a/b:delete  odd",
                "repository:a/b:pull,push repository:h:5000/a/b:delete odd",
            ),
            (
                "repository:a/b:push,delete registry:catalog:*",
                "repository:a/b:pull,push,delete repository:h:5000/a/b:delete odd registry:catalog:*",
            ),
        ] {
            scopes.add(text);
            assert_eq!(scopes.texts().collect::<Vec<_>>().join(" "), all);
        }
    }
}
