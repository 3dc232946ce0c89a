//! The pattern matcher.
//!
//! A pattern is interpreted where it stands, without being compiled: `Matcher::try_at` walks pattern and subject together
//! and calls itself where it may have to come back (captures, `?`, and the repetitions of an item).
//!
//! # Terms
//! An *item* is what matches one byte: `x`, `.`, `%a`, `[set]`. A *suffix* is one of `* + - ?` behind it. The *lead* of a
//! pattern is what every match must begin with; the search for a match visits only the places that have it.
//!
//! # Same errors as the reference
//! A malformed pattern is an error only once the matcher arrives at the bad part: `("x"):find("y[")` is nil. Whatever
//! skips work here (leads, [`Matcher::next_literal`]) therefore skips only places where the reference fails *before* it
//! looks at more of the pattern, and where it would not run into its recursion limit.

use super::class::{ByteSet, Class};
use super::meter::{BATCH, BYTES_PER_STEP, Meter};
use super::search::{find_byte, find_bytes};

/// Most captures of a pattern (`LUA_MAXCAPTURES`).
pub(crate) const MAX_CAPTURES: usize = 32;

/// Deepest recursion of the matcher (`MAXCCALLS`).
const MAX_DEPTH: u32 = 200;

/// What is wrong with a pattern, or with a reference to its captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatternError {
    /// The matcher would recurse too deeply.
    TooComplex,
    /// More than [`MAX_CAPTURES`] captures.
    TooManyCaptures,
    /// `)` without `(`.
    NothingToClose,
    /// `%1` for a capture that is not there or not closed.
    CaptureIndex(usize),
    /// `(` without `)`.
    Unfinished,
    /// `%` at the end.
    EndsInEscape,
    /// `[` without `]`.
    UnclosedSet,
    /// `%f` without a set.
    FrontierWithoutSet,
    /// `%b` without two bytes behind it.
    BalanceWithoutBytes,
}

impl std::fmt::Display for PatternError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            PatternError::TooComplex => "pattern too complex",
            PatternError::TooManyCaptures => "too many captures",
            PatternError::NothingToClose => "invalid pattern capture",
            PatternError::CaptureIndex(index) => return write!(f, "invalid capture index %{index}"),
            PatternError::Unfinished => "unfinished capture",
            PatternError::EndsInEscape => "malformed pattern (ends with '%')",
            PatternError::UnclosedSet => "malformed pattern (missing ']')",
            PatternError::FrontierWithoutSet => "missing '[' after '%f' in pattern",
            PatternError::BalanceWithoutBytes => "malformed pattern (missing arguments to '%b')",
        })
    }
}

/// Why matching ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop<E> {
    /// The pattern is at fault.
    Pattern(PatternError),
    /// The meter refused.
    Meter(E),
}

/// A capture as a caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Captured<'a> {
    /// `(...)`
    Text(&'a [u8]),
    /// `()`: a position, from 1.
    Position(i64),
}

/// Says that matching ended, for the reason that waits in [`Matcher::stop`]. It has no size, so that the answer of the
/// recursive functions fits in registers.
struct Stopped;

/// The end of a match, if there is one.
type Answer = Result<Option<usize>, Stopped>;

#[derive(Clone, Copy)]
struct Capture {
    start: usize,
    /// One past the last byte, or one of the marks below, which no subject is long enough for.
    end: usize,
}

/// Mark of a capture that is not closed yet.
const OPEN: usize = usize::MAX;
/// Mark of a position capture.
const POSITION: usize = usize::MAX - 1;

/// What matches one byte.
#[derive(Clone, Copy)]
enum Item {
    Any,
    Byte(u8),
    Class(Class),
    Set(ByteSet),
}

impl Item {
    #[inline(always)]
    fn matches(&self, byte: u8) -> bool {
        match self {
            Item::Any => true,
            Item::Byte(own) => *own == byte,
            Item::Class(class) => class.contains(byte),
            Item::Set(set) => set.contains(byte),
        }
    }

    #[inline(always)]
    fn matches_first(&self, bytes: &[u8]) -> bool {
        bytes.first().is_some_and(|&byte| self.matches(byte))
    }

    /// How many bytes at the front match.
    fn run(&self, bytes: &[u8]) -> usize {
        fn count(bytes: &[u8], matches: impl Fn(u8) -> bool) -> usize {
            bytes.iter().position(|&byte| !matches(byte)).unwrap_or(bytes.len())
        }
        match self {
            Item::Any => bytes.len(),
            Item::Byte(own) => count(bytes, |byte| byte == *own),
            Item::Class(class) => count(bytes, |byte| class.contains(byte)),
            Item::Set(set) => count(bytes, |byte| set.contains(byte)),
        }
    }

    /// The first byte that matches.
    fn find(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Item::Any => (!bytes.is_empty()).then_some(0),
            Item::Byte(own) => find_byte(bytes, *own),
            Item::Class(class) => bytes.iter().position(|&byte| class.contains(byte)),
            Item::Set(set) => bytes.iter().position(|&byte| set.contains(byte)),
        }
    }
}

/// What every match must begin with.
#[derive(Clone, Copy)]
enum Lead<'a> {
    /// Nothing known.
    Unknown,
    /// These bytes, at least one.
    Literal(&'a [u8]),
    /// A byte of this item.
    Item(Item),
}

/// A set of the pattern that was met before.
#[derive(Clone, Copy)]
struct KnownSet {
    /// Where its `[` stands in the pattern.
    at: usize,
    /// Where the pattern goes on behind its `]`.
    end: usize,
    set: ByteSet,
}

/// Sets remembered at a time.
const KNOWN_SETS: usize = 2;

/// A pattern at work on a subject.
pub(crate) struct Matcher<'a, E> {
    subject: &'a [u8],
    /// Without a leading `^` that anchors it.
    pattern: &'a [u8],
    lead: Lead<'a>,
    captures: [Capture; MAX_CAPTURES],
    /// Captures in use, closed or not.
    level: usize,
    /// Recursion still allowed.
    depth: u32,
    /// Work not yet accounted for.
    steps: u32,
    known_sets: [KnownSet; KNOWN_SETS],
    /// The place in `known_sets` to be overwritten next.
    next_known: usize,
    /// Why matching ended, when it did.
    stop: Option<Stop<E>>,
}

// What a caller does with a matcher.
impl<'a, E> Matcher<'a, E> {
    /// A matcher for a pattern without the `^` that anchors it.
    pub(crate) fn new(subject: &'a [u8], pattern: &'a [u8]) -> Matcher<'a, E> {
        let no_set = KnownSet { at: usize::MAX, end: 0, set: ByteSet::default() };
        Matcher {
            subject,
            pattern,
            lead: Lead::Unknown,
            captures: [Capture { start: 0, end: OPEN }; MAX_CAPTURES],
            level: 0,
            depth: MAX_DEPTH,
            steps: 0,
            known_sets: [no_set; KNOWN_SETS],
            next_known: 0,
            stop: None,
        }
    }

    /// Prepares for searching: without this, [`Matcher::search`] tries every place.
    pub(crate) fn find_lead(&mut self) {
        self.lead = self.lead_of_pattern();
    }

    /// The end of the match that begins at `start`, if there is one.
    pub(crate) fn try_at<M: Meter<Stop = E>>(&mut self, meter: &mut M, start: usize) -> Result<Option<usize>, Stop<E>> {
        self.level = 0;
        self.depth = MAX_DEPTH;
        match self.run(meter, start, 0) {
            Ok(end) => Ok(end),
            Err(Stopped) => Err(self.stop.take().unwrap_or(Stop::Pattern(PatternError::TooComplex))),
        }
    }

    /// The first match that begins at `from` or later: its start and its end.
    pub(crate) fn search<M: Meter<Stop = E>>(
        &mut self,
        meter: &mut M,
        from: usize,
    ) -> Result<Option<(usize, usize)>, Stop<E>> {
        let mut start = from;
        while start <= self.subject.len() {
            let rest = &self.subject[start..];
            let distance = match &self.lead {
                Lead::Unknown => Some(0),
                Lead::Literal(bytes) => find_bytes(meter, rest, bytes).map_err(Stop::Meter)?,
                Lead::Item(item) => item.find(rest),
            };
            self.steps += (distance.unwrap_or(rest.len()) / BYTES_PER_STEP) as u32;
            let Some(distance) = distance else { break };
            start += distance;
            if let Some(end) = self.try_at(meter, start)? {
                return Ok(Some((start, end)));
            }
            start += 1;
        }
        Ok(None)
    }

    /// Accounts for the work that has not been yet. To be called once a matcher has done its work.
    pub(crate) fn settle<M: Meter<Stop = E>>(&mut self, meter: &mut M) -> Result<(), E> {
        meter.spend(std::mem::take(&mut self.steps))
    }

    /// Number of captures of the last match.
    #[inline]
    pub(crate) fn level(&self) -> usize {
        self.level
    }

    /// Capture `index` (from 0) of the last match. A pattern without captures has the whole match, `start..end`, as its
    /// only one.
    #[inline]
    pub(crate) fn capture(&self, index: usize, start: usize, end: usize) -> Result<Captured<'a>, PatternError> {
        if index >= self.level {
            return if index == 0 {
                Ok(Captured::Text(&self.subject[start..end]))
            } else {
                Err(PatternError::CaptureIndex(index + 1))
            };
        }
        let capture = self.captures[index];
        match capture.end {
            OPEN => Err(PatternError::Unfinished),
            POSITION => Ok(Captured::Position(capture.start as i64 + 1)),
            end => Ok(Captured::Text(&self.subject[capture.start..end])),
        }
    }
}

// Matching.
impl<E> Matcher<'_, E> {
    #[cold]
    fn fail<T>(&mut self, error: PatternError) -> Result<T, Stopped> {
        self.stop = Some(Stop::Pattern(error));
        Err(Stopped)
    }

    #[inline(always)]
    fn count<M: Meter<Stop = E>>(&mut self, meter: &mut M, steps: u32) -> Result<(), Stopped> {
        self.steps += steps;
        if self.steps >= BATCH { self.account(meter) } else { Ok(()) }
    }

    #[cold]
    fn account<M: Meter<Stop = E>>(&mut self, meter: &mut M) -> Result<(), Stopped> {
        let steps = std::mem::take(&mut self.steps);
        meter.spend(steps).map_err(|refusal| {
            self.stop = Some(Stop::Meter(refusal));
            Stopped
        })
    }

    /// Matches the pattern from `p` on at `s` of the subject.
    fn run<M: Meter<Stop = E>>(&mut self, meter: &mut M, s: usize, p: usize) -> Answer {
        if self.depth == 0 {
            return self.fail(PatternError::TooComplex);
        }
        self.depth -= 1;
        let answer = self.walk(meter, s, p);
        self.depth += 1;
        answer
    }

    fn walk<M: Meter<Stop = E>>(&mut self, meter: &mut M, mut s: usize, mut p: usize) -> Answer {
        loop {
            self.count(meter, 1)?;
            let Some(&byte) = self.pattern.get(p) else { return Ok(Some(s)) };
            let (item, next) = match byte {
                b'(' if self.pattern.get(p + 1) == Some(&b')') => return self.open(meter, s, p + 2, POSITION),
                b'(' => return self.open(meter, s, p + 1, OPEN),
                b')' => return self.close(meter, s, p + 1),
                b'$' if p + 1 == self.pattern.len() => return Ok((s == self.subject.len()).then_some(s)),
                b'%' => {
                    let special = match self.pattern.get(p + 1) {
                        Some(b'b') => Some((self.balance(s, p + 2)?, p + 4)),
                        Some(b'f') => Some(self.frontier(s, p + 2)?),
                        Some(digit @ b'0'..=b'9') => Some((self.back_reference(s, *digit)?, p + 2)),
                        _ => None,
                    };
                    match special {
                        Some((Some(at), next)) => {
                            (s, p) = (at, next);
                            continue;
                        }
                        Some((None, _)) => return Ok(None),
                        None => self.item(p)?,
                    }
                }
                b'.' => (Item::Any, p + 1),
                b'[' => self.item(p)?,
                literal => (Item::Byte(literal), p + 1),
            };
            match self.suffixed(meter, s, item, next)? {
                Walk::On(at, next) => (s, p) = (at, next),
                Walk::Done(end) => return Ok(end),
            }
        }
    }

    /// Matches an item with the suffix that stands at `next` of the pattern, if one does.
    #[inline(always)]
    fn suffixed<M: Meter<Stop = E>>(
        &mut self,
        meter: &mut M,
        s: usize,
        item: Item,
        next: usize,
    ) -> Result<Walk, Stopped> {
        let is_match = item.matches_first(&self.subject[s..]);
        let suffix = self.pattern.get(next).copied().unwrap_or(0);
        Ok(match (suffix, is_match) {
            (b'*' | b'?' | b'-', false) => Walk::On(s, next + 1),
            (_, false) => Walk::Done(None),
            (b'*' | b'+', true) => Walk::Done(self.expand_most(meter, s, item, next + 1)?),
            (b'-', true) => Walk::Done(self.expand_least(meter, s, item, next + 1)?),
            (b'?', true) => match self.run(meter, s + 1, next + 1)? {
                Some(end) => Walk::Done(Some(end)),
                None => Walk::On(s, next + 1),
            },
            (_, true) => Walk::On(s + 1, next),
        })
    }

    /// An item with `*` or `+` that matches at least once: as often as possible, then less and less often.
    fn expand_most<M: Meter<Stop = E>>(&mut self, meter: &mut M, s: usize, item: Item, next: usize) -> Answer {
        let shortest = match self.pattern[next - 1] {
            b'+' => s + 1,
            _ => s,
        };
        let longest = s + item.run(&self.subject[s..]);
        self.count(meter, ((longest - s) / BYTES_PER_STEP) as u32)?;
        if self.depth == 0 {
            return self.fail(PatternError::TooComplex);
        }
        if next == self.pattern.len() {
            return Ok(Some(longest));
        }
        let literal = self.next_literal(next);
        for end in (shortest..=longest).rev() {
            if literal.is_some_and(|byte| self.subject.get(end) != Some(&byte)) {
                self.count(meter, 1)?;
                continue;
            }
            if let Some(end) = self.run(meter, end, next)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// An item with `-`: as seldom as possible, then more and more often.
    fn expand_least<M: Meter<Stop = E>>(&mut self, meter: &mut M, s: usize, item: Item, next: usize) -> Answer {
        let literal = self.next_literal(next);
        let mut end = s;
        loop {
            self.count(meter, 1)?;
            if let (Some(byte), Item::Any) = (literal, item) {
                let distance = find_byte(&self.subject[end..], byte);
                self.count(meter, (distance.unwrap_or(self.subject.len() - end) / BYTES_PER_STEP) as u32)?;
                match distance {
                    Some(distance) => end += distance,
                    None => return Ok(None),
                }
            }
            if literal.is_none_or(|byte| self.subject.get(end) == Some(&byte))
                && let Some(end) = self.run(meter, end, next)?
            {
                return Ok(Some(end));
            }
            if !item.matches_first(&self.subject[end..]) {
                return Ok(None);
            }
            end += 1;
        }
    }

    /// The byte with which the pattern from `p` on must go on, if it is one certain byte: then other places need no try.
    ///
    /// One `)` may stand in front of it: `(.-),`. There must be a capture for it to close, and the calls saved must have
    /// been allowed, because both would be errors.
    fn next_literal(&self, mut p: usize) -> Option<u8> {
        const CALLS_SAVED: u32 = 2;
        if self.depth < CALLS_SAVED {
            return None;
        }
        if self.pattern.get(p) == Some(&b')') {
            if !self.captures[..self.level].iter().any(|capture| capture.end == OPEN) {
                return None;
            }
            p += 1;
        }
        self.plain_byte(p)
    }

    /// The byte at `p` of the pattern if it stands for itself, once or more often.
    fn plain_byte(&self, p: usize) -> Option<u8> {
        let &byte = self.pattern.get(p)?;
        let is_plain = !matches!(byte, b'(' | b')' | b'%' | b'.' | b'[' | b'$');
        let is_optional = matches!(self.pattern.get(p + 1), Some(b'*' | b'?' | b'-'));
        (is_plain && !is_optional).then_some(byte)
    }

    /// `(`, with what follows at `p`.
    fn open<M: Meter<Stop = E>>(&mut self, meter: &mut M, s: usize, p: usize, mark: usize) -> Answer {
        if self.level >= MAX_CAPTURES {
            return self.fail(PatternError::TooManyCaptures);
        }
        self.captures[self.level] = Capture { start: s, end: mark };
        self.level += 1;
        let answer = self.run(meter, s, p)?;
        if answer.is_none() {
            self.level -= 1;
        }
        Ok(answer)
    }

    /// `)`, with what follows at `p`.
    fn close<M: Meter<Stop = E>>(&mut self, meter: &mut M, s: usize, p: usize) -> Answer {
        let Some(index) = self.captures[..self.level].iter().rposition(|capture| capture.end == OPEN) else {
            return self.fail(PatternError::NothingToClose);
        };
        self.captures[index].end = s;
        let answer = self.run(meter, s, p)?;
        if answer.is_none() {
            self.captures[index].end = OPEN;
        }
        Ok(answer)
    }

    /// `%bxy`, with `xy` at `p`.
    fn balance(&mut self, s: usize, p: usize) -> Answer {
        let Some(&[opening, closing]) = self.pattern.get(p..p + 2) else {
            return self.fail(PatternError::BalanceWithoutBytes);
        };
        if self.subject.get(s) != Some(&opening) {
            return Ok(None);
        }
        let mut nesting = 1;
        for (at, &byte) in self.subject.iter().enumerate().skip(s + 1) {
            if byte == closing {
                nesting -= 1;
                if nesting == 0 {
                    self.steps += ((at - s) / 4) as u32;
                    return Ok(Some(at + 1));
                }
            } else if byte == opening {
                nesting += 1;
            }
        }
        self.steps += ((self.subject.len() - s) / 4) as u32;
        Ok(None)
    }

    /// `%f[set]`, with the set at `p`: where to go on, in the subject if it is a frontier, and in the pattern.
    fn frontier(&mut self, s: usize, p: usize) -> Result<(Option<usize>, usize), Stopped> {
        if self.pattern.get(p) != Some(&b'[') {
            return self.fail(PatternError::FrontierWithoutSet);
        }
        let (set, next) = self.set(p)?;
        let before = if s == 0 { 0 } else { self.subject[s - 1] };
        let after = self.subject.get(s).copied().unwrap_or(0);
        Ok(((!set.contains(before) && set.contains(after)).then_some(s), next))
    }

    /// `%1`
    fn back_reference(&mut self, s: usize, digit: u8) -> Answer {
        let index = usize::from(digit - b'0');
        let capture = match index.checked_sub(1).and_then(|index| self.captures[..self.level].get(index)) {
            Some(capture) if capture.end != OPEN => *capture,
            _ => return self.fail(PatternError::CaptureIndex(index)),
        };
        if capture.end == POSITION {
            return Ok(None);
        }
        let text = &self.subject[capture.start..capture.end];
        self.steps += (text.len() / BYTES_PER_STEP) as u32;
        Ok(self.subject[s..].starts_with(text).then_some(s + text.len()))
    }

    /// The item at `p`, and what stands behind it.
    fn item(&mut self, p: usize) -> Result<(Item, usize), Stopped> {
        Ok(match self.pattern[p] {
            b'%' => match self.pattern.get(p + 1) {
                Some(&letter) => (Class::named(letter).map_or(Item::Byte(letter), Item::Class), p + 2),
                None => return self.fail(PatternError::EndsInEscape),
            },
            b'[' => {
                let (set, next) = self.set(p)?;
                (Item::Set(set), next)
            }
            b'.' => (Item::Any, p + 1),
            literal => (Item::Byte(literal), p + 1),
        })
    }

    /// The set whose `[` stands at `p`, and what stands behind its `]`.
    fn set(&mut self, p: usize) -> Result<(ByteSet, usize), Stopped> {
        if let Some(known) = self.known_sets.iter().find(|known| known.at == p) {
            return Ok((known.set, known.end));
        }
        let Some((set, end)) = parse_set(self.pattern, p) else {
            return self.fail(PatternError::UnclosedSet);
        };
        self.known_sets[self.next_known] = KnownSet { at: p, end, set };
        self.next_known = (self.next_known + 1) % KNOWN_SETS;
        Ok((set, end))
    }
}

/// How matching goes on behind an item.
enum Walk {
    /// At this place of the subject, with this place of the pattern.
    On(usize, usize),
    /// Not at all: it ended here, or failed.
    Done(Option<usize>),
}

// Leads.
impl<'a, E> Matcher<'a, E> {
    fn lead_of_pattern(&mut self) -> Lead<'a> {
        // Opening captures consumes nothing; too many of them are an error, which must not be skipped.
        let mut p = 0;
        let mut captures = 0;
        while self.pattern.get(p) == Some(&b'(') {
            captures += 1;
            p += if self.pattern.get(p + 1) == Some(&b')') { 2 } else { 1 };
        }
        if captures > MAX_CAPTURES {
            return Lead::Unknown;
        }
        let mut end = p;
        while self.plain_byte(end).is_some() {
            end += 1;
            if self.pattern.get(end) == Some(&b'+') {
                break;
            }
        }
        if end > p {
            return Lead::Literal(&self.pattern[p..end]);
        }
        match self.pattern.get(p) {
            Some(b'%') if matches!(self.pattern.get(p + 1), None | Some(b'b' | b'f' | b'0'..=b'9')) => Lead::Unknown,
            Some(b'%' | b'[') => {
                let Ok((item, next)) = self.item(p) else {
                    self.stop = None;
                    return Lead::Unknown;
                };
                match self.pattern.get(next) {
                    Some(b'*' | b'?' | b'-') => Lead::Unknown,
                    _ => Lead::Item(item),
                }
            }
            _ => Lead::Unknown,
        }
    }
}

/// The set whose `[` stands at `p`, and what stands behind its `]`; `None` if there is no `]`.
fn parse_set(pattern: &[u8], p: usize) -> Option<(ByteSet, usize)> {
    let is_complement = pattern.get(p + 1) == Some(&b'^');
    let first = if is_complement { p + 2 } else { p + 1 };
    let last = end_of_set(pattern, first)?;
    let mut set = ByteSet::default();
    let mut at = first;
    while at < last {
        match pattern[at] {
            b'%' => {
                at += 1;
                match Class::named(pattern[at]) {
                    Some(class) => set.insert_class(class),
                    None => set.insert(pattern[at]),
                }
            }
            byte if pattern[at + 1] == b'-' && at + 2 < last => {
                set.insert_range(byte, pattern[at + 2]);
                at += 2;
            }
            byte => set.insert(byte),
        }
        at += 1;
    }
    if is_complement {
        set.complement();
    }
    Some((set, last + 1))
}

/// The place of the `]` that closes the set whose members begin at `first`. A `]` there is a member itself.
fn end_of_set(pattern: &[u8], first: usize) -> Option<usize> {
    let mut at = first;
    loop {
        at += if *pattern.get(at)? == b'%' { 2 } else { 1 };
        if *pattern.get(at)? == b']' {
            return Some(at);
        }
    }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
