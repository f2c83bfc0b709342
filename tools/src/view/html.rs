//! A status as a page for browsers.

use super::Outline;

/// A whole page; `head` is put into its head as it is.
pub(super) fn page(all: &[Outline], head: &str) -> String {
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         {head}{STYLE}</head>\n<body>\n"
    );
    for part in all {
        section(part, &mut out);
    }
    out.push_str("</body>\n</html>\n");
    out
}

const STYLE: &str = "<style>\n.bold { font-weight: bold; }\n.online { color: green; }\n\
                     .offline { color: red; }\n.standby { color: orange; }\n</style>\n";

fn section(part: &Outline, out: &mut String) {
    match part {
        Outline::List {
            title: Some(title),
            items,
        } => {
            out.push_str(&format!("<h2>{}</h2>\n", escaped(title)));
            list(items, out);
        }
        other => list(std::slice::from_ref(other), out),
    }
}

fn list(items: &[Outline], out: &mut String) {
    out.push_str("<ul>\n");
    for item in items {
        match item {
            Outline::Item(text) | Outline::Plain(text) => {
                let text = text.trim();
                if !text.is_empty() {
                    out.push_str(&format!("<li>{}</li>\n", coloured(text)));
                }
            }
            Outline::List { title, items } => {
                let title = title.as_deref().unwrap_or_default();
                out.push_str(&format!("<li>{}\n", coloured(title)));
                list(items, out);
                out.push_str("</li>\n");
            }
        }
    }
    out.push_str("</ul>\n");
}

fn coloured(text: &str) -> String {
    let text = escaped(text);
    let class = match text.split_once(':') {
        Some(("Online" | "RemoteOnline" | "GuestOnline", _)) => "online",
        Some(("OFFLINE" | "RemoteOFFLINE", _)) => "offline",
        Some((_, state)) if state.contains("UNCLEAN") => "offline",
        Some((_, state)) if state.trim_start().starts_with("standby") => "standby",
        _ => return text,
    };
    format!("<span class=\"{class}\">{text}</span>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_page() {
        let all = [Outline::list(
            "Nodes",
            vec![Outline::item("Online: [ <a&b> ]")],
        )];
        let page = page(&all, "");
        assert!(page.contains("<span class=\"online\">Online: [ &lt;a&amp;b&gt; ]</span>"));
    }
}
