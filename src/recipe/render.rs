//! Templates to text. What a template prints is quoted for the kind of file it makes, without
//! the template asking for it: a template that forgets cannot exist.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, context};

use super::quote;

/// The kinds of file that templates make, by how a value must be written into them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Yaml,
    Shell,
    Dhcpd,
    Toml,
    /// Unit files: `%` begins a specifier in them, `$` a variable in some lines only.
    Systemd,
    /// No quoting is known: a value must be one that needs none.
    Plain,
}

impl Language {
    const ALL: [Self; 6] = [Self::Yaml, Self::Shell, Self::Dhcpd, Self::Toml, Self::Systemd, Self::Plain];

    /// By the name of the file that the template makes.
    fn of(template: &str) -> Self {
        let name = template.rsplit('/').next().unwrap_or(template);
        let name = name.strip_suffix(".j2").unwrap_or(name);
        let in_folder = |folder: &str| template.contains(folder);
        match name.rsplit_once('.').map_or(name, |(_, extension)| extension) {
            "yaml" | "yml" | "user-data" | "meta-data" | "network-config" => Self::Yaml,
            "cfg" if in_folder("/etc/cloud/") => Self::Yaml,
            "sh" | "env" => Self::Shell,
            _ if in_folder("/etc/default/") => Self::Shell,
            _ if in_folder("/systemd/system/") => Self::Systemd,
            "toml" => Self::Toml,
            _ if name == "dhcpd.conf" => Self::Dhcpd,
            _ => Self::Plain,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Shell => "sh",
            Self::Dhcpd => "dhcpd",
            Self::Toml => "toml",
            Self::Systemd => "systemd",
            Self::Plain => "plain",
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.name() == name)
    }

    fn write(self, value: &Value) -> Result<String, Error> {
        match value.kind() {
            // Not as Jinja prints them, which is Python's way.
            ValueKind::Bool => Ok(value.is_true().to_string()),
            ValueKind::Number => Ok(value.to_string()),
            ValueKind::String => self.write_str(value.as_str().unwrap_or_default()),
            ValueKind::Seq if matches!(self, Self::Yaml | Self::Toml) => {
                let items: Result<Vec<_>, _> = value.try_iter()?.map(|v| self.write(&v)).collect();
                Ok(format!("[{}]", items?.join(", ")))
            }
            kind => Err(unfit(format!("a {kind} cannot be printed into a {} file", self.name()))),
        }
    }

    fn write_str(self, text: &str) -> Result<String, Error> {
        match self {
            Self::Yaml => Ok(quote::yaml(text)),
            Self::Shell => quote::shell(text),
            Self::Dhcpd => quote::dhcpd(text),
            Self::Toml => Ok(quote::toml(text)),
            Self::Systemd => quote::systemd(text),
            Self::Plain => quote::bare(text).map(str::to_owned),
        }
        .map_err(unfit)
    }
}

/// The environment that all templates are rendered in.
pub(super) fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut syntax = SyntaxConfig::builder();
    syntax.keep_trailing_newline(true).trim_blocks(true).lstrip_blocks(true);
    // Only delimiters that are ambiguous cannot be built, and none are set.
    env.set_syntax(syntax.build().unwrap_or_default());
    env.set_debug(true);
    env.set_auto_escape_callback(|name| AutoEscape::Custom(Language::of(name).name().into()));
    env.set_formatter(print);
    for language in Language::ALL {
        env.add_filter(language.name(), move |value: Value| -> Result<Value, Error> {
            language.write(&value).map(Value::from_safe_string)
        });
    }
    env.add_filter("bare", |text: &str| {
        quote::bare(text).map(|t| Value::from_safe_string(t.to_owned())).map_err(unfit)
    });
    env.add_filter("url", |text: &str| {
        quote::url(text).map(|t| Value::from_safe_string(t.to_owned())).map_err(unfit)
    });
    env.add_filter("words", |words: Vec<String>, separator: &str| {
        let words: Result<Vec<_>, _> = words.iter().map(|word| quote::bare(word)).collect();
        words.map(|words| Value::from_safe_string(words.join(separator))).map_err(unfit)
    });
    env
}

/// What a template made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rendered {
    /// The file.
    pub(super) text: String,
    /// A secret went into it, in whatever way.
    pub(super) secret: bool,
}

/// What templates are rendered with: what they are to print, and the same with other secrets.
///
/// A file holds a secret if it would be another one with another secret. So it is rendered twice
/// and compared, and no way that a secret takes through variables, loops, macros, filters and
/// conditions can be missed.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) actual: Value,
    pub(super) replaced: Value,
}

impl View {
    /// The same with more to print, none of it secret.
    pub(super) fn with(&self, more: &Value) -> Self {
        let both = |context: &Value| context! { ..more.clone(), ..context.clone() };
        Self { actual: both(&self.actual), replaced: both(&self.replaced) }
    }
}

/// Renders `source`, the template of the file at `name`.
pub(super) fn render(
    env: &Environment<'_>,
    name: &str,
    source: &str,
    view: &View,
) -> Result<Rendered, Error> {
    let template = env.template_from_named_str(name, source)?;
    let text = template.render(&view.actual)?;
    // That another secret could not be printed is a difference as well.
    let secret = template.render(&view.replaced).ok().as_ref() != Some(&text);
    Ok(Rendered { text, secret })
}

fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let text = if value.is_safe() {
        value.to_string()
    } else {
        let language = match state.auto_escape() {
            AutoEscape::Custom(name) => Language::by_name(name),
            _ => None,
        };
        language.unwrap_or(Language::Plain).write(value)?
    };
    out.write_str(&text).map_err(Error::from)
}

fn unfit(detail: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(name: &str, source: &str) -> Result<String, Error> {
        let context = context! { odd => "a'b \"c\" $d", name => "node-1", n => 3, on => true,
        list => ["x", "y\"z"], url => "https://m/%7Ex?y=1" };
        render(&environment(), name, source, &View { actual: context.clone(), replaced: context })
            .map(|made| made.text)
    }

    #[test]
    fn whatever_hangs_on_a_secret_is_secret() {
        let with =
            |secret: &str| context! { s => secret, list => [context! { token => secret }], name => "a" };
        let view = View { actual: with("abcdef.0123"), replaced: with("bcdefg.1234") };
        let secret = |source: &str| render(&environment(), "x.yaml", source, &view).map(|made| made.secret);
        for source in [
            "{{ s }}",
            "{{ s | bare }}",
            "{{ 'a' ~ s }}",
            "{{ s | upper }}",
            "{{ s[:3] }}",
            "{{ s | reverse }}",
            "{{ s | replace('.', '') }}",
            "{% set x = s %}{% set y = x %}{{ y }}",
            "{% macro m(v) %}{{ v }}{% endmacro %}{{ m(s) }}",
            "{% for t in list %}{{ t.token }}{% endfor %}",
            "{{ list | map(attribute='token') | join }}",
            "{% for c in s %}{% if c == 'a' %}yes{% endif %}{% endfor %}",
            "{% if s == 'abcdef.0123' %}x{% else %}y{% endif %}",
            "{% if s is startingwith 'abc' %}x{% endif %}",
            "{% filter upper %}{{ s }}{% endfilter %}",
            "{% set x %}{{ s }}{% endset %}{{ x }}",
        ] {
            assert!(secret(source).unwrap_or_else(|e| panic!("{source}: {e}")), "{source}");
        }
        for source in [
            "{{ name }}",
            "{% if s %}x{% endif %}",
            "{{ s | length }}",
            "{% set x = s %}",
            "{{ list | length }}",
        ] {
            assert!(!secret(source).unwrap(), "{source}");
        }
    }

    #[test]
    fn values_are_quoted_for_the_file_they_go_into() {
        for (name, printed) in [
            ("/etc/netplan/x.yaml.j2", r#""a'b \"c\" $d""#),
            ("/etc/cloud/cloud.cfg.d/x.cfg.j2", r#""a'b \"c\" $d""#),
            ("user-data.j2", r#""a'b \"c\" $d""#),
            ("/etc/pibake/node.env.j2", r#"'a'\''b "c" $d'"#),
            ("/etc/default/isc-dhcp-server.j2", r#"'a'\''b "c" $d'"#),
            ("/etc/containerd/config.toml.j2", r#""a'b \"c\" $d""#),
            ("/etc/dhcp/dhcpd.conf.j2", r#""a'b \"c\" $d""#),
        ] {
            assert_eq!(rendered(name, "{{ odd }}").unwrap(), printed, "{name}");
        }
        assert!(rendered("/etc/hosts.j2", "{{ odd }}").is_err());
        assert_eq!(rendered("/etc/hosts.j2", "{{ name }} {{ n }}\n").unwrap(), "node-1 3\n");
    }

    #[test]
    fn lists_and_numbers_keep_their_kind() {
        assert_eq!(rendered("a.yaml", "{{ list }} {{ n }} {{ on }}").unwrap(), r#"["x", "y\"z"] 3 true"#);
        assert_eq!(rendered("a.sh", "{{ n }}").unwrap(), "3");
        assert!(rendered("a.sh", "{{ list }}").is_err());
    }

    #[test]
    fn unquoted_is_possible_only_for_what_needs_no_quotes() {
        assert_eq!(rendered("dhcpd.conf", "{{ name | bare }}").unwrap(), "node-1");
        assert!(rendered("dhcpd.conf", "{{ odd | bare }}").is_err());
        assert_eq!(rendered("x.list", "{{ url | url }}").unwrap(), "https://m/%7Ex?y=1");
    }

    #[test]
    fn a_list_of_words_is_checked_word_by_word() {
        assert_eq!(rendered("hosts", r#"{{ [name, "x.y"] | words(", ") }}"#).unwrap(), "node-1, x.y");
        assert!(rendered("hosts", r#"{{ [name, odd] | words(" ") }}"#).is_err());
    }

    #[test]
    fn a_name_that_does_not_exist_is_an_error() {
        for source in ["{{ nothing }}", "{% if nothing %}x{% endif %}", "{{ name.nothing }}"] {
            assert!(rendered("x.yaml", source).is_err(), "{source}");
        }
    }
}
