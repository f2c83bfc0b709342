//! A small matcher for the regular expressions of location constraints (`rsc-pattern`), POSIX extended style.

/// Matches anywhere in a text; the result holds the whole match and the groups.
pub(crate) fn find(pattern: &str, text: &str) -> Option<Vec<String>> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut parser = Parser {
        chars: &chars,
        at: 0,
        groups: 0,
        open: 0,
    };
    let tree = parser.alternatives()?;
    if parser.at != chars.len() {
        return None;
    }
    let text: Vec<char> = text.chars().collect();
    let mut steps = 0;
    for start in 0..=text.len() {
        let mut run = Run {
            text: &text,
            groups: vec![None; parser.groups + 1],
            steps,
            depth: 0,
        };
        let mut end = None;
        let matched = run.node(&tree, start, &mut |_, at| {
            end = Some(at);
            true
        });
        steps = run.steps;
        if steps > MAX_STEPS {
            return None;
        }
        if let (true, Some(end)) = (matched, end) {
            let mut groups = run.groups;
            groups[0] = Some((start, end));
            let cut = |g: Option<(usize, usize)>| {
                g.map_or(String::new(), |(a, b)| text[a..b].iter().collect())
            };
            return Some(groups.into_iter().map(cut).collect());
        }
    }
    None
}

enum Tree {
    Any(Vec<Tree>),
    All(Vec<Tree>),
    Repeat(Box<Tree>, usize, usize),
    Group(usize, Box<Tree>),
    Class(Vec<(char, char)>, bool),
    Dot,
    Char(char),
    Start,
    End,
}

struct Parser<'p> {
    chars: &'p [char],
    at: usize,
    groups: usize,
    /// Groups begun and not ended.
    open: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn alternatives(&mut self) -> Option<Tree> {
        let mut all = vec![self.sequence()?];
        while self.peek() == Some('|') {
            self.at += 1;
            all.push(self.sequence()?);
        }
        Some(if all.len() == 1 {
            all.remove(0)
        } else {
            Tree::Any(all)
        })
    }

    fn sequence(&mut self) -> Option<Tree> {
        let mut parts = Vec::new();
        while let Some(c) = self.peek() {
            if c == '|' || c == ')' {
                break;
            }
            let atom = self.atom()?;
            parts.push(self.repeated(atom)?);
        }
        Some(Tree::All(parts))
    }

    fn repeated(&mut self, atom: Tree) -> Option<Tree> {
        let (low, high) = match self.peek() {
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('?') => (0, 1),
            Some('{') => return self.counted(atom),
            _ => return Some(atom),
        };
        self.at += 1;
        Some(Tree::Repeat(Box::new(atom), low, high))
    }

    fn counted(&mut self, atom: Tree) -> Option<Tree> {
        let close = self.chars[self.at..].iter().position(|c| *c == '}')? + self.at;
        let body: String = self.chars[self.at + 1..close].iter().collect();
        self.at = close + 1;
        let (low, high) = match body.split_once(',') {
            Some((low, "")) => (low.parse().ok()?, usize::MAX),
            Some((low, high)) => (low.parse().ok()?, high.parse().ok()?),
            None => (body.parse().ok()?, body.parse().ok()?),
        };
        Some(Tree::Repeat(Box::new(atom), low, high))
    }

    fn atom(&mut self) -> Option<Tree> {
        let c = self.peek()?;
        self.at += 1;
        Some(match c {
            '.' => Tree::Dot,
            '^' => Tree::Start,
            '$' => Tree::End,
            '(' => {
                self.groups += 1;
                let number = self.groups;
                self.open += 1;
                if self.open > MAX_OPEN {
                    return None;
                }
                let inner = self.alternatives()?;
                self.open -= 1;
                if self.peek() != Some(')') {
                    return None;
                }
                self.at += 1;
                Tree::Group(number, Box::new(inner))
            }
            '[' => self.class()?,
            '\\' => {
                let escaped = self.peek()?;
                self.at += 1;
                match escaped {
                    'd' => Tree::Class(vec![('0', '9')], false),
                    'w' => Tree::Class(vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')], false),
                    other => Tree::Char(other),
                }
            }
            c => Tree::Char(c),
        })
    }

    fn class(&mut self) -> Option<Tree> {
        let negated = self.peek() == Some('^');
        self.at += usize::from(negated);
        let mut ranges = Vec::new();
        let mut first = true;
        loop {
            let c = self.peek()?;
            self.at += 1;
            if c == ']' && !first {
                break;
            }
            first = false;
            if c == '[' && self.peek() == Some(':') {
                let close = self.chars[self.at..].iter().position(|c| *c == ']')? + self.at;
                let name: String = self.chars[self.at + 1..close - 1].iter().collect();
                self.at = close + 1;
                ranges.extend(match name.as_str() {
                    "digit" => vec![('0', '9')],
                    "alpha" => vec![('a', 'z'), ('A', 'Z')],
                    "alnum" => vec![('a', 'z'), ('A', 'Z'), ('0', '9')],
                    _ => return None,
                });
                continue;
            }
            let ends = self.chars.get(self.at..self.at + 2);
            if let Some(['-', end]) = ends.filter(|e| e[1] != ']') {
                ranges.push((c, *end));
                self.at += 2;
            } else {
                ranges.push((c, c));
            }
        }
        Some(Tree::Class(ranges, negated))
    }
}

struct Run<'t> {
    text: &'t [char],
    groups: Vec<Option<(usize, usize)>>,
    steps: usize,
    /// Steps that have begun and wait for what comes after them.
    depth: usize,
}

/// Most groups within each other: reading a pattern may not exhaust a stack.
const MAX_OPEN: usize = 50;
/// Most steps that wait for others, about one for each character: matching may not exhaust a stack.
const MAX_DEPTH: usize = 500;
/// Most steps of a search: a pattern cannot keep the scheduler busy.
const MAX_STEPS: usize = 100_000;

impl Run<'_> {
    fn node(
        &mut self,
        tree: &Tree,
        at: usize,
        next: &mut dyn FnMut(&mut Self, usize) -> bool,
    ) -> bool {
        self.steps += 1;
        if self.steps > MAX_STEPS || self.depth > MAX_DEPTH {
            return false;
        }
        self.depth += 1;
        let matched = self.step(tree, at, next);
        self.depth -= 1;
        matched
    }

    fn step(
        &mut self,
        tree: &Tree,
        at: usize,
        next: &mut dyn FnMut(&mut Self, usize) -> bool,
    ) -> bool {
        let here = self.text.get(at).copied();
        match tree {
            Tree::Char(c) => here == Some(*c) && next(self, at + 1),
            Tree::Dot => here.is_some() && next(self, at + 1),
            Tree::Start => at == 0 && next(self, at),
            Tree::End => at == self.text.len() && next(self, at),
            Tree::Class(ranges, negated) => {
                here.is_some_and(|c| ranges.iter().any(|(a, b)| (*a..=*b).contains(&c)) != *negated)
                    && next(self, at + 1)
            }
            Tree::Any(all) => all.iter().any(|t| self.node(t, at, next)),
            Tree::All(parts) => self.all(parts, at, next),
            Tree::Group(number, inner) => {
                let number = *number;
                self.node(inner, at, &mut |run, end| {
                    let old = run.groups[number];
                    run.groups[number] = Some((at, end));
                    if next(run, end) {
                        return true;
                    }
                    run.groups[number] = old;
                    false
                })
            }
            Tree::Repeat(inner, low, high) => self.repeat(inner, *low, *high, at, next),
        }
    }

    fn all(
        &mut self,
        parts: &[Tree],
        at: usize,
        next: &mut dyn FnMut(&mut Self, usize) -> bool,
    ) -> bool {
        match parts.split_first() {
            None => next(self, at),
            Some((first, rest)) => self.node(first, at, &mut |run, end| run.all(rest, end, next)),
        }
    }

    fn repeat(
        &mut self,
        inner: &Tree,
        low: usize,
        high: usize,
        at: usize,
        next: &mut dyn FnMut(&mut Self, usize) -> bool,
    ) -> bool {
        if high > 0 {
            let more = self.node(inner, at, &mut |run, end| {
                (end > at || low > 0)
                    && run.repeat(
                        inner,
                        low.saturating_sub(1),
                        high.saturating_sub(1),
                        end,
                        next,
                    )
            });
            if more {
                return true;
            }
        }
        low == 0 && next(self, at)
    }
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn no_pattern_exhausts_a_stack() {
        let long = "a".repeat(20_000);
        for pattern in [
            "a{50000}".to_owned(),
            "^{99999}".to_owned(),
            "(a*)*b".to_owned(),
            "(".repeat(60_000),
            format!("{}a{}", "(".repeat(40), ")".repeat(40)),
            long.clone(),
        ] {
            let matched = std::thread::Builder::new().stack_size(2 << 20);
            let (pattern, text) = (pattern, long.clone());
            let matched = matched.spawn(move || find(&pattern, &text).is_some());
            assert!(matched.unwrap().join().is_ok());
        }
        assert!(find("^a{200}$", &"a".repeat(200)).is_some());
    }

    #[test]
    fn patterns_and_groups() {
        assert_eq!(
            find("^dummy-([0-9]+)$", "dummy-12"),
            Some(vec!["dummy-12".into(), "12".into()])
        );
        assert_eq!(
            find("(a|b)+c", "xabc"),
            Some(vec!["abc".into(), "b".into()])
        );
        assert_eq!(find("^x", "ax"), None);
        assert_eq!(find("(", "x"), None);
    }
}
