//! The way back from the text form to a tree.
//!
//! What is written by hand may leave out what follows from the rest:
//!
//! * the line of constants: those that are used take the numbers that nothing else has;
//! * positions of segments and snapshots: a snapshot belongs to the first instruction that leaves through it;
//! * live slots: those of the header's inputs, and those that the snapshot writes;
//! * all fields of frames but `func`, `base`, fuel, and whatever is empty.
//!
//! ```text
//! header 0 pc 1, snap 0, inputs %0=#1:int
//! segment 0 from header 0
//!   %1 = add %0 1 int
//!   %2 le %1 100 -> snap 1
//!   around header 0, snap 2
//! snap 0 guard, pc 1
//! snap 1 guard, pc 5, slots #1=%1
//! snap 2 guard, pc 1, slots #1=%1
//! ```
//!
//! Addresses that the text does not tell are made up, a different one for each object and shape.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::rc::Rc;

use super::helper::Helper;
use super::inst::{Field, Format, Inst, Op, Ref, ResultType, Ty};
use super::tree::{
    Counted, End, ExitKind, Header, HeaderId, InlinedFrame, ProtoId, Range, Recipe, Segment, SegmentId, SnapId,
    SnapSlot, Snapshot, Start, Tree,
};

/// Where a text makes no sense, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for ParseError {}

type Parsed<T> = Result<T, String>;

/// Where made-up addresses of objects begin; those of shapes stand below.
const OBJECTS: u64 = 0x7000_0000_0000;
const SHAPES: u64 = 0x6000_0000_0000;

impl std::str::FromStr for Tree {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Tree, ParseError> {
        let mut parser = Parser::default();
        for (n, line) in text.lines().enumerate() {
            let line = line.split("--").next().unwrap_or_default();
            parser.line(line).map_err(|why| ParseError { line: n + 1, why })?;
        }
        parser.finish().map_err(|why| ParseError { line: text.lines().count(), why })
    }
}

/// What the lines so far have told.
#[derive(Default)]
struct Parser {
    insts: BTreeMap<u32, Inst>,
    /// By spelling: the numbers of constants that are known, and what those without a number are.
    consts: HashMap<String, Ref>,
    unplaced: Vec<(Ref, Inst)>,
    headers: Vec<Header>,
    segments: Vec<Segment>,
    /// Whether the text tells a segment's range.
    is_placed: Vec<bool>,
    snapshots: Vec<Snapshot>,
    /// By snapshot: whether the text tells its segment, position, and live slots.
    told: Vec<(bool, bool)>,
    place: Where,
}

/// What indented lines belong to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Where {
    #[default]
    Nothing,
    Header,
    Segment,
    Snapshot,
}

/// Constants without a number get one from here on until all others are known.
const UNPLACED: u32 = 1 << 30;

impl Parser {
    fn line(&mut self, line: &str) -> Parsed<()> {
        let is_inner = line.starts_with(' ');
        let line = line.trim();
        if line.is_empty() {
            return Ok(());
        }
        if is_inner {
            return self.inner(line);
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "consts:" => rest.split_whitespace().try_for_each(|item| self.numbered_constant(item)),
            "header" => self.header(rest),
            "segment" => self.segment(rest),
            "snap" => self.snapshot(rest),
            _ => Err(format!("'{word}' begins no line")),
        }
    }

    fn inner(&mut self, line: &str) -> Parsed<()> {
        if let Some(rest) = line.strip_prefix("frame ") {
            let frame = frame(rest)?;
            let frames = match self.place {
                Where::Header => self.headers.last_mut().map(|header| &mut header.frames),
                Where::Snapshot => self.snapshots.last_mut().map(|snapshot| &mut snapshot.frames),
                Where::Nothing | Where::Segment => None,
            };
            frames.ok_or("a frame of nothing")?.push(frame);
            return Ok(());
        }
        if let (Where::Header, Some(rest)) = (self.place, line.strip_prefix("range ")) {
            let range = self.range(rest)?;
            self.headers.last_mut().ok_or("no header")?.ranges.push(range);
            return Ok(());
        }
        if let (Where::Header, Some(rest)) = (self.place, line.strip_prefix("copies ")) {
            let copies: Parsed<_> = rest.split_whitespace().map(copy).collect();
            self.headers.last_mut().ok_or("no header")?.copies = copies?;
            return Ok(());
        }
        if let (Where::Header, Some(rest)) = (self.place, line.strip_prefix("counted ")) {
            let (count, cost) = rest.split_once(" cost ").ok_or_else(|| format!("'{rest}' is no counter"))?;
            let counted = Counted { count: number_of(count)?, cost: plain(cost)? };
            self.headers.last_mut().ok_or("no header")?.counted = Some(counted);
            return Ok(());
        }
        if let (Where::Snapshot, Some(rest)) = (self.place, line.strip_prefix("sunk ")) {
            let recipe = self.recipe(rest)?;
            self.snapshots.last_mut().ok_or("no snapshot")?.sunk.push(recipe);
            return Ok(());
        }
        match (self.place, line.strip_prefix("hoisted ")) {
            (Where::Header, Some(rest)) => {
                let hoisted: Parsed<Vec<Ref>> = rest.split_whitespace().map(number_of).collect();
                self.headers.last_mut().ok_or("no header")?.hoisted = hoisted?;
                Ok(())
            }
            (Where::Segment, None) if line.starts_with('%') => self.inst(line),
            (Where::Segment, None) => self.end(line),
            _ => Err(format!("'{line}' does not belong here")),
        }
    }

    // Constants and operands.

    fn numbered_constant(&mut self, item: &str) -> Parsed<()> {
        let (number, text) = item.split_once('=').ok_or_else(|| format!("'{item}' is no constant"))?;
        let r = number_of(number)?;
        let (spelling, mut inst) = constant(text).ok_or_else(|| format!("'{text}' is no constant"))?;
        if matches!(inst.op, Op::KObj | Op::KPtr) && inst.imm >= OBJECTS {
            inst.imm = OBJECTS + u64::from(r.0) * 16;
        }
        self.consts.insert(spelling, r);
        self.insert(r, inst)
    }

    fn insert(&mut self, r: Ref, inst: Inst) -> Parsed<()> {
        match self.insts.insert(r.0, inst) {
            None if r.0 < UNPLACED => Ok(()),
            _ => Err(format!("%{} is there twice, or too large", r.0)),
        }
    }

    fn operand(&mut self, text: &str) -> Parsed<Ref> {
        if text.starts_with('%') {
            return number_of(text);
        }
        let (spelling, inst) = constant(text).ok_or_else(|| format!("'{text}' is no operand"))?;
        if let Some(r) = self.consts.get(&spelling) {
            return Ok(*r);
        }
        let r = Ref(UNPLACED + self.unplaced.len() as u32);
        self.consts.insert(spelling, r);
        self.unplaced.push((r, inst));
        Ok(r)
    }

    /// `2 of ptr@9` between brackets: the property's number and its shape.
    fn property(&mut self, number: &str, shape: &str) -> Parsed<(u32, u64)> {
        let number = plain(number.strip_prefix('[').unwrap_or_default())?;
        let shape = shape.strip_suffix(']').ok_or("a bracket is open")?;
        let address = if let Some(n) = shape.strip_prefix("shape") {
            SHAPES + 16 * u64::from(plain(n)?)
        } else if shape.starts_with("0x") {
            hexadecimal(shape).ok_or("no address")?
        } else {
            let r = self.operand(shape)?;
            let known = self.insts.get(&r.0).or(self.unplaced.iter().find(|(u, _)| *u == r).map(|(_, inst)| inst));
            known.map(|inst| inst.imm).ok_or("a shape must be a constant")?
        };
        Ok((number, address))
    }

    // Lines.

    fn inst(&mut self, line: &str) -> Parsed<()> {
        let (line, snap) = match line.split_once(" -> snap ") {
            Some((line, snap)) => (line, Some(SnapId(plain(snap)?))),
            None => (line, None),
        };
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let r = number_of(words.remove(0))?;
        let has_result = words.first() == Some(&"=");
        if has_result {
            words.remove(0);
        }
        if words.is_empty() {
            return Err("no operation".to_owned());
        }
        let (op, imm) = operation(words.remove(0))?;
        let mut inst = Inst { imm, snap, ..Inst::new(op, Ty::Void) };
        if has_result {
            inst.ty = words.pop().and_then(ty_of).ok_or("no type at the end")?;
        }
        self.operands(&mut inst, &words)?;
        if let ResultType::Is(ty) = op.result()
            && ty != inst.ty
        {
            return Err(format!("the result of {} has the type {}", op.mnemonic(), ty.name()));
        }
        self.extend_segment(r);
        self.insert(r, inst)
    }

    /// A hand-written segment reaches from its first instruction to its last.
    fn extend_segment(&mut self, r: Ref) {
        if self.is_placed.last() == Some(&false)
            && let Some(segment) = self.segments.last_mut()
        {
            if segment.first == segment.end_at {
                segment.first = r;
            }
            segment.first = segment.first.min(r);
            segment.end_at = segment.end_at.max(Ref(r.0 + 1));
        }
    }

    fn operands(&mut self, inst: &mut Inst, words: &[&str]) -> Parsed<()> {
        let mut count = 0;
        let mut at = 0;
        while let Some(word) = words.get(at) {
            at += 1;
            let mut next = || {
                let word = words.get(at).copied().unwrap_or_default();
                at += 1;
                word
            };
            if let Some(number) = word.strip_prefix('#') {
                inst.aux = plain(number)?;
                match inst.op {
                    Op::CallOut => {
                        let nargs = plain(next())?;
                        let _to = next();
                        inst.imm = u64::from(nargs) | u64::from(plain(next())?) << 32;
                    }
                    Op::CallFn => {
                        let _to = next();
                        inst.imm = next().parse::<i64>().map_err(|_| "no number of results")? as u64;
                    }
                    Op::Returned => inst.imm = u64::from(plain(next())?),
                    _ => {}
                }
            } else if word.starts_with('[') {
                let _of = next();
                (inst.aux, inst.imm) = self.property(word, next())?;
            } else if *word == "fuel" {
                inst.aux = plain(next())?;
            } else {
                *inst.args.get_mut(count).ok_or("too many operands")? = self.operand(word)?;
                count += 1;
            }
        }
        Ok(())
    }

    fn header(&mut self, rest: &str) -> Parsed<()> {
        self.place = Where::Header;
        let id = self.headers.len() as u32;
        let mut header = Header::new(0, Vec::new(), Vec::new(), SnapId(0));
        for part in after_number(rest, id)?.split(", ") {
            let (word, value) = part.split_once(' ').unwrap_or((part, ""));
            match word {
                "pc" => header.pc = plain(value)?,
                "snap" => header.snap = SnapId(plain(value)?),
                "inputs" => {
                    for item in value.split_whitespace() {
                        header.inputs.push(self.input(item, id)?);
                    }
                }
                "live" => header.live = numbers(value)?,
                "stale" => header.stale = numbers(value)?.into_iter().collect(),
                "untagged" => header.untagged = numbers(value)?.into_iter().collect(),
                "alternative" => header.alternative = Some(HeaderId(plain(value)?)),
                "no" => header.has_no_ranges = value == "ranges",
                "pinned" => header.is_pinned = true,
                "called" => header.is_called = true,
                _ => return Err(format!("'{part}' of a header")),
            }
        }
        if header.live.is_empty() {
            header.live = header.inputs.iter().map(|r| self.insts[&r.0].aux).collect();
            header.live.sort_unstable();
        }
        self.headers.push(header);
        Ok(())
    }

    /// `%1 index %1 step 1 count %4 len %5 offsets -1 0 checks %7 %8`
    fn range(&mut self, rest: &str) -> Parsed<Range> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [
            variable,
            "index",
            index,
            "step",
            step,
            "count",
            count,
            "len",
            len,
            "offsets",
            low,
            high,
            "checks",
            checks @ ..,
        ] = &words[..]
        else {
            return Err(format!("'{rest}' is no range"));
        };
        let offset = |text: &str| text.parse::<i64>().map_err(|_| format!("'{text}' is no number"));
        Ok(Range {
            variable: number_of(variable)?,
            index: number_of(index)?,
            step: self.operand(step)?,
            count: number_of(count)?,
            len: number_of(len)?,
            offsets: (offset(low)?, offset(high)?),
            checks: checks.iter().map(|check| number_of(check)).collect::<Parsed<_>>()?,
        })
    }

    /// `%1 shape ptr@9 meta null fields %4 1.5 elements %5`
    fn recipe(&mut self, rest: &str) -> Parsed<Recipe> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [object, "shape", shape, "meta", meta, "fields", fields @ ..] = &words[..] else {
            return Err(format!("'{rest}' is no sunk table"));
        };
        let end = fields.iter().position(|word| *word == "elements");
        let (fields, elements) =
            (&fields[..end.unwrap_or(fields.len())], end.map_or(&[][..], |end| &fields[end + 1..]));
        Ok(Recipe {
            object: number_of(object)?,
            shape: self.operand(shape)?,
            meta: self.operand(meta)?,
            fields: fields.iter().map(|field| self.operand(field)).collect::<Parsed<_>>()?,
            elements: elements.iter().map(|element| self.operand(element)).collect::<Parsed<_>>()?,
        })
    }

    /// `%3=#4:int`
    fn input(&mut self, item: &str, header: u32) -> Parsed<Ref> {
        let wrong = || format!("'{item}' is no input");
        let (number, slot) = item.split_once("=#").ok_or_else(wrong)?;
        let (slot, ty) = slot.split_once(':').ok_or_else(wrong)?;
        let ty = ty_of(ty).filter(|ty| ty.has_tag()).ok_or_else(wrong)?;
        let r = number_of(number)?;
        self.insert(r, Inst { aux: plain(slot)?, imm: u64::from(header), ..Inst::new(Op::Slot, ty) })?;
        Ok(r)
    }

    fn segment(&mut self, rest: &str) -> Parsed<()> {
        self.place = Where::Segment;
        let mut parts = after_number(rest, self.segments.len() as u32)?.split(", ");
        let start = match parts.next().unwrap_or_default().split(' ').collect::<Vec<_>>()[..] {
            ["from", "header", n] => Start::Header(HeaderId(plain(n)?)),
            ["from", "snap", n] => Start::Snapshot(SnapId(plain(n)?)),
            _ => return Err("a segment begins somewhere".to_owned()),
        };
        // An empty one is behind the one before.
        let here = self.segments.last().map_or(Ref(0), |last| last.end_at);
        let mut segment = Segment::new(start, here);
        let mut is_placed = false;
        for part in parts {
            if part == "calls out" {
                segment.calls_out = true;
            } else if let Some((first, end)) = part.strip_prefix("insts ").and_then(|range| range.split_once("..")) {
                (segment.first, segment.end_at) = (Ref(plain(first)?), Ref(plain(end)?));
                is_placed = true;
            } else if let Some((first, end)) = part.strip_prefix("makes ").and_then(|range| range.split_once("..")) {
                segment.prologue = plain(first)?..plain(end)?;
            } else {
                return Err(format!("'{part}' of a segment"));
            }
        }
        self.segments.push(segment);
        self.is_placed.push(is_placed);
        Ok(())
    }

    fn end(&mut self, line: &str) -> Parsed<()> {
        let words: Vec<&str> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let (end, snap) = match words[..] {
            ["around", "header", n] => (End::Around(HeaderId(plain(n)?)), None),
            ["around", "header", n, "snap", snap] => (End::Around(HeaderId(plain(n)?)), Some(SnapId(plain(snap)?))),
            ["enter", "header", n] => (End::Enter(HeaderId(plain(n)?)), None),
            ["enter", "header", n, "snap", snap] => (End::Enter(HeaderId(plain(n)?)), Some(SnapId(plain(snap)?))),
            ["exit", "snap", snap] => (End::Exit(SnapId(plain(snap)?)), None),
            ["return", count, "snap", snap] => (End::Return(SnapId(plain(snap)?), plain(count)?), None),
            ["tail", cell, "snap", snap] => {
                let snap = SnapId(plain(snap)?);
                (End::Tail(snap, self.operand(cell)?), None)
            }
            ["open"] => (End::Open, None),
            _ => return Err(format!("'{line}' ends no segment")),
        };
        let segment = self.segments.last_mut().ok_or("the end of nothing")?;
        (segment.end, segment.end_snap) = (end, snap);
        Ok(())
    }

    fn snapshot(&mut self, rest: &str) -> Parsed<()> {
        self.place = Where::Snapshot;
        let mut parts = after_number(rest, self.snapshots.len() as u32)?.split(", ");
        let kind = match parts.next().unwrap_or_default() {
            "guard" => ExitKind::Guard,
            "service" => ExitKind::Service,
            "end" => ExitKind::End,
            other => return Err(format!("'{other}' is no kind of exit")),
        };
        let mut snapshot = Snapshot::new(kind, 0);
        let mut is_placed = false;
        let mut has_live = false;
        for part in parts {
            let (word, value) = part.split_once(' ').unwrap_or((part, ""));
            match word {
                "segment" => snapshot.segment = SegmentId(plain(value)?),
                "at" => {
                    snapshot.at = Ref(plain(value)?);
                    is_placed = true;
                }
                "pc" => snapshot.pc = plain(value)?,
                "fuel" => snapshot.fuel = plain(value)?,
                "top" => snapshot.top = Some(plain(value)?),
                "calls" => snapshot.calls_out = true,
                "in" => snapshot.in_place = numbers(value.strip_prefix("place ").unwrap_or_default())?,
                "live" => (snapshot.live, has_live) = (numbers(value)?, true),
                "slots" => {
                    for item in value.split_whitespace() {
                        let (slot, value) = item.split_once('=').ok_or("a slot without value")?;
                        let slot = plain(slot.strip_prefix('#').unwrap_or_default())?;
                        snapshot.slots.push(SnapSlot { slot, value: self.operand(value)? });
                    }
                }
                _ => return Err(format!("'{part}' of a snapshot")),
            }
        }
        self.snapshots.push(snapshot);
        self.told.push((is_placed, has_live || is_placed));
        Ok(())
    }

    // The whole.

    fn finish(mut self) -> Parsed<Tree> {
        let places = self.place_constants();
        let count = self.insts.len() as u32;
        if self.insts.keys().next_back().is_some_and(|last| *last >= count) {
            let gap = (0..count).find(|n| !self.insts.contains_key(n)).unwrap_or_default();
            return Err(format!("there is no %{gap}"));
        }
        let move_to = |r: &mut Ref| {
            if let Some(place) = places.get(r) {
                *r = *place;
            }
        };
        let mut insts: Vec<Inst> = self.insts.into_values().collect();
        insts.iter_mut().for_each(|inst| inst.args.iter_mut().for_each(move_to));
        for snapshot in &mut self.snapshots {
            snapshot.slots.iter_mut().for_each(|slot| move_to(&mut slot.value));
            for recipe in &mut snapshot.sunk {
                let Recipe { object: _, shape, meta, fields, elements } = recipe;
                [shape, meta].into_iter().chain(fields).chain(elements).for_each(move_to);
            }
        }
        for segment in &mut self.segments {
            if let End::Tail(_, cell) = &mut segment.end {
                move_to(cell);
            }
        }
        self.headers.iter_mut().flat_map(|header| &mut header.ranges).for_each(|range| move_to(&mut range.step));
        let snapshots = self.snapshots.into_iter().map(Rc::new).collect();
        let headers = self.headers.into_iter().map(Rc::new).collect();
        let mut tree = Tree { insts, snapshots, headers, segments: self.segments };
        complete(&mut tree, &self.told);
        Ok(tree)
    }

    /// Gives numbers to the constants that have none: those that are free, and then those behind all others.
    fn place_constants(&mut self) -> HashMap<Ref, Ref> {
        let mut places = HashMap::new();
        let mut free = 0;
        for (r, mut inst) in std::mem::take(&mut self.unplaced) {
            while self.insts.contains_key(&free) {
                free += 1;
            }
            if matches!(inst.op, Op::KObj | Op::KPtr) && inst.imm == OBJECTS {
                inst.imm = OBJECTS + u64::from(free) * 16;
            }
            self.insts.insert(free, inst);
            places.insert(r, Ref(free));
        }
        places
    }
}

/// Fills in what a hand-written text leaves out.
fn complete(tree: &mut Tree, told: &[(bool, bool)]) {
    for id in tree.segment_ids().collect::<Vec<_>>().into_iter().rev() {
        let segment = tree.segment(id).clone();
        let mut users: Vec<(SnapId, Ref)> =
            tree.body(id).filter_map(|r| tree.inst(r).snap.map(|snap| (snap, r))).collect();
        users.extend(segment.end_snap.map(|snap| (snap, segment.end_at)));
        match segment.end {
            End::Exit(snap) | End::Return(snap, _) | End::Tail(snap, _) => users.push((snap, segment.end_at)),
            End::Around(_) | End::Enter(_) | End::Open => {}
        }
        if let Start::Header(header) = segment.start
            && let Some(header) = tree.headers.get(header.index())
        {
            users.push((header.snap, segment.first));
        }
        // The first user decides.
        for (snap, at) in users.into_iter().rev() {
            if told.get(snap.index()).is_some_and(|told| !told.0) {
                let snapshot = tree.snapshot_mut(snap);
                (snapshot.segment, snapshot.at) = (id, at);
            }
        }
    }
    for (n, (_, has_live)) in told.iter().enumerate() {
        let segment = tree.snapshots[n].segment;
        if *has_live || segment.index() >= tree.segments.len() {
            continue;
        }
        let Some(header) = tree.headers.get(tree.header_of(segment).index()) else { continue };
        let mut live = header.live.clone();
        live.extend(tree.snapshots[n].slots.iter().map(|slot| slot.slot));
        live.sort_unstable();
        live.dedup();
        tree.snapshot_mut(SnapId(n as u32)).live = live;
    }
}

// Words.

fn plain(text: &str) -> Parsed<u32> {
    text.parse().map_err(|_| format!("'{text}' is no number"))
}

fn numbers(text: &str) -> Parsed<Vec<u32>> {
    text.split_whitespace().map(plain).collect()
}

fn number_of(text: &str) -> Parsed<Ref> {
    plain(text.strip_prefix('%').unwrap_or_default()).map(Ref).map_err(|_| format!("'{text}' is no reference"))
}

/// What follows the number `n`, which must be there: things are numbered in their order.
fn after_number(text: &str, n: u32) -> Parsed<&str> {
    let (number, rest) = text.split_once(' ').ok_or("nothing follows the number")?;
    if plain(number)? == n { Ok(rest) } else { Err(format!("number {n} was to come")) }
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn ty_of(name: &str) -> Option<Ty> {
    Ty::ALL.into_iter().find(|ty| ty.name() == name)
}

/// `load.kind`, `call.pow`, `add`
fn operation(word: &str) -> Parsed<(Op, u64)> {
    let (mnemonic, part) = word.split_once('.').map_or((word, None), |(mnemonic, part)| (mnemonic, Some(part)));
    let unknown = || format!("'{word}' is no operation");
    let op = *Op::ALL.iter().find(|op| op.mnemonic() == mnemonic).ok_or_else(unknown)?;
    let imm = match (op.format(), part) {
        (Format::Field | Format::StoreField, Some(part)) => {
            Field::ALL.iter().find(|field| field.name() == part).map(|field| *field as u64)
        }
        (Format::Call, Some(part)) => {
            Helper::ALL.iter().find(|helper| helper.name() == part).map(|helper| *helper as u64)
        }
        (Format::Const | Format::Slot | Format::Field | Format::StoreField | Format::Call, _) => None,
        (_, None) => Some(0),
        (_, Some(_)) => None,
    };
    Ok((op, imm.ok_or_else(unknown)?))
}

/// A constant, and its spelling without an address.
fn constant(text: &str) -> Option<(String, Inst)> {
    let inst = |op, ty, imm| Some((text.to_owned(), Inst { imm, ..Inst::new(op, ty) }));
    if text == "null" {
        return inst(Op::KPtr, Ty::Ptr, 0);
    }
    if let Some(ty) = ty_of(text).filter(|ty| ty.is_primitive()) {
        return inst(Op::KPrim, ty, 0);
    }
    if let Some((ty, number)) = text.split_once('@') {
        let ty = ty_of(ty)?;
        let op = if ty == Ty::Ptr { Op::KPtr } else { Op::KObj };
        let (number, address) = number.split_once(':').map_or((number, None), |(n, address)| (n, Some(address)));
        number.parse::<u32>().ok()?;
        let imm = address.map_or(Some(OBJECTS), hexadecimal)?;
        return Some((format!("{}@{number}", ty.name()), Inst { imm, ..Inst::new(op, ty) }));
    }
    if let Some(bits) = text.strip_prefix("nan:") {
        return inst(Op::KFloat, Ty::Float, hexadecimal(bits)?);
    }
    if let Ok(n) = text.parse::<i64>() {
        return inst(Op::KInt, Ty::Int, n as u64);
    }
    let float: f64 = text.parse().ok()?;
    inst(Op::KFloat, Ty::Float, float.to_bits())
}

/// `%3=%1`
fn copy(text: &str) -> Parsed<(Ref, Ref)> {
    let (copy, of) = text.split_once('=').ok_or_else(|| format!("'{text}' is no copy"))?;
    Ok((number_of(copy)?, number_of(of)?))
}

fn frame(text: &str) -> Parsed<InlinedFrame> {
    let mut frame = InlinedFrame {
        func: 0,
        base: 0,
        extra: 0,
        lost: 0,
        flags: 0,
        protected: None,
        handled: false,
        proto: ProtoId(0),
        return_pc: 0,
        nresults: 0,
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    for pair in words.chunks(2) {
        let [word, value] = pair else { return Err("a frame's number is missing".to_owned()) };
        match *word {
            "func" => frame.func = plain(value)?,
            "base" => frame.base = plain(value)?,
            "extra" => frame.extra = plain(value)?,
            "lost" => frame.lost = plain(value)?,
            "flags" => frame.flags = value.parse().map_err(|_| "flags are a number")?,
            "protected" | "handled" => {
                frame.handled = *word == "handled";
                frame.protected = Some(value.parse().map_err(|_| "results are a number")?);
            }
            "proto" => frame.proto = ProtoId(plain(value)?),
            "return" => frame.return_pc = plain(value)?,
            "results" => frame.nresults = value.parse().map_err(|_| "results are a number")?,
            _ => return Err(format!("'{word}' of a frame")),
        }
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use crate::ir::Tree;

    const BY_HAND: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:tab
segment 0 from header 0
  %2 = load.kind %1 int
  %3 eq %2 3 -> snap 1
  %4 = load.slots %1 ptr
  %5 = ldprop %4 [1 of shape0] flt -> snap 1
  %6 = call.pow %5 -0.0 flt
  %7 = add %0 1 int
  %8 le %7 100 -> snap 2
  around header 0, snap 3
segment 1 from snap 2
  %9 stplace 2.5 #3
  %10 callout #3 1 to 2 -> snap 4
  exit snap 5
snap 0 guard, pc 1
snap 1 guard, pc 1
snap 2 guard, pc 5, slots #1=%7 #3=%6
  frame func 3 base 4 return 17 results -1
snap 3 guard, pc 1, slots #1=%7, fuel 3
snap 4 service, pc 6, top 9, slots #4=nan:0x7ff8000000000001
snap 5 end, pc 7, calls out, in place 3 4
";

    fn parse(text: &str) -> Tree {
        match text.parse() {
            Ok(tree) => tree,
            Err(why) => panic!("{why}"),
        }
    }

    /// Functions: calls of compiled ones, returns, calls in the root frame's place.
    const FUNCTIONS: &str = "\
header 0 pc 0, snap 0, inputs %0=#1:int
segment 0 from header 0
  %1 gt %0 0 -> snap 1
  %2 = add %0 -1 int
  %3 stplace %2 #4
  %4 = callfn ptr@9 #3 to 1 int -> snap 2
  %5 = ldplace #3 int -> snap 3
  %6 = callfn ptr@9 #3 to -1 int -> snap 7
  %7 returned %6 #3 2 -> snap 4
  %8 stplace %5 #0
  return 1, snap 5
segment 1 from snap 1
  tail ptr@9, snap 6
snap 0 guard, pc 0
snap 1 guard, pc 0
snap 2 service, pc 0, in place 3 4, fuel 1
  frame func 3 base 4 return 5 results 1
snap 3 guard, pc 5, in place 3, fuel 1
snap 4 service, pc 7, top 5, in place 3 4, fuel 2
snap 5 end, pc 8, fuel 2
snap 6 end, pc 10, fuel 1
snap 7 service, pc 0, in place 3 4, fuel 2
  frame func 3 base 4 return 7 results -1
";

    #[test]
    fn what_is_printed_can_be_read() {
        assert_eq!(parse(BY_HAND).insts.len(), 17);
        for text in [BY_HAND, FUNCTIONS] {
            let tree = parse(text);
            let text = tree.to_string();
            assert_eq!(parse(&text).to_string(), text);
            let exact = tree.text_with_addresses().to_string();
            let again = parse(&exact);
            assert_eq!(again.insts, tree.insts);
            assert_eq!(again.headers, tree.headers);
            assert_eq!(again.segments, tree.segments);
            assert_eq!(again.snapshots, tree.snapshots);
        }
        assert_eq!(crate::verify::verify(&parse(FUNCTIONS)), Ok(()));
    }

    #[test]
    fn what_follows_may_be_left_out() {
        let tree = parse(BY_HAND);
        assert_eq!(tree.headers[0].live, [1, 2]);
        let snapshot = &tree.snapshots[2];
        assert_eq!((snapshot.segment.0, snapshot.at.0), (0, 8));
        assert_eq!(snapshot.live, [1, 2, 3]);
        assert_eq!(tree.snapshots[1].at.0, 3, "the first instruction that leaves there");
        assert_eq!(tree.snapshots[5].segment.0, 1);
    }

    #[test]
    fn nonsense_is_told_with_its_line() {
        for (text, why) in [
            ("hello", "line 1: 'hello' begins no line"),
            ("header 0 pc x", "line 1: 'x' is no number"),
            ("header 1 pc 1", "line 1: number 0 was to come"),
            ("segment 0 from header 0\n  %0 = frob 1 int", "line 2: 'frob' is no operation"),
            ("segment 0 from header 0\n  %0 = add 1 2 flt", "line 2: the result of add has the type int"),
            ("segment 0 from header 0\n  %0 = load.frob %1 int", "line 2: 'load.frob' is no operation"),
            ("segment 0 from header 0\n  %9 = add %8 %8 int", "line 2: there is no %0"),
            ("segment 0 from header 0\n  jump", "line 2: 'jump' ends no segment"),
        ] {
            assert_eq!(text.parse::<Tree>().expect_err(text).to_string(), why);
        }
    }
}
