//! What can be shown of a tree on its way to machine code: one row for each phase. And where it is shown.

use std::cell::RefCell;
use std::fmt;
use std::io::Write;
use std::rc::Rc;
use std::str::FromStr;

macro_rules! phases {
    ($($name:ident $word:literal $meaning:literal;)*) => {
        /// A phase that can be dumped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Phase {
            $(#[doc = $meaning] $name,)*
        }

        impl Phase {
            /// All phases in their order.
            pub const ALL: &'static [Phase] = &[$(Phase::$name,)*];

            /// What the phase is called on the command line and in dumps.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Phase::$name => $word,)* }
            }
        }
    };
}
phases! {
    Bc "bc" "The bytecode of the functions that the tree runs through.";
    Record "record" "Each instruction that the recorder has looked at, with the depth of calls, its place and its line.";
    Ir "ir" "The tree as it was recorded, snapshots included.";
    Opt "opt" "The tree after the passes.";
    Snap "snap" "The snapshots after the passes, of which exits are made.";
    Clif "clif" "The function that Cranelift is given.";
    Asm "asm" "The machine code.";
}

/// Phases to dump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dump(u8);

impl Dump {
    /// With a phase more.
    #[must_use]
    pub const fn with(self, phase: Phase) -> Dump {
        Dump(self.0 | 1 << phase as u8)
    }

    /// Whether a phase is to be dumped.
    #[must_use]
    pub const fn has(self, phase: Phase) -> bool {
        self.0 & 1 << phase as u8 != 0
    }

    /// Whether Cranelift must say what it does.
    #[must_use]
    pub(crate) const fn explains(self) -> bool {
        self.has(Phase::Clif) || self.has(Phase::Asm)
    }
}

/// Where dumps go: to the standard error, if nothing is said.
#[derive(Clone, Default)]
pub struct Sink(Option<Rc<RefCell<dyn Write>>>);

impl Sink {
    /// Dumps go there. What cannot be written is lost.
    pub fn new(target: impl Write + 'static) -> Sink {
        Sink(Some(Rc::new(RefCell::new(target))))
    }

    /// Writes a line.
    pub(crate) fn line(&self, text: fmt::Arguments<'_>) {
        match &self.0 {
            Some(target) => {
                let _ = writeln!(target.borrow_mut(), "{text}");
            }
            None => eprintln!("{text}"),
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Sink(elsewhere)" } else { "Sink(standard error)" })
    }
}

/// A word that names no phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPhase(pub String);

impl FromStr for Dump {
    type Err = UnknownPhase;

    /// Words between commas, as `ir,asm`.
    fn from_str(text: &str) -> Result<Dump, UnknownPhase> {
        text.split(',').try_fold(Dump::default(), |dump, word| {
            let phase = Phase::ALL.iter().find(|phase| phase.word() == word);
            phase.map(|phase| dump.with(*phase)).ok_or_else(|| UnknownPhase(word.to_owned()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Dump, Phase, UnknownPhase};

    #[test]
    fn phases_are_named_between_commas() {
        let dump: Dump = "ir,asm".parse().expect("phases");
        assert!(dump.has(Phase::Ir) && dump.has(Phase::Asm) && dump.explains());
        assert!(!dump.has(Phase::Opt) && !dump.has(Phase::Clif));
        assert_eq!("ir,frob".parse::<Dump>(), Err(UnknownPhase("frob".to_owned())));
    }
}
