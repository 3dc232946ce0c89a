//! Looking at a running program from outside: stacks at the safepoints of [`limits`](crate::limits).
//!
//! A [`Sampler`] is asked each time a slice of fuel is used up, in the interpreter, in compiled code and inside long
//! library operations alike, so it sees a program in proportion to what it spends, and costs what runs between two slices
//! nothing. What it is told is where the slice *ended*: a function that is shorter than a slice is seen as often as it
//! takes its share of many.

use perilune_base::dialect::Dialect;
use perilune_runtime::object::Thread;
use perilune_runtime::stack::Frame;

use crate::call::frames_down;
use crate::frame;
use crate::names;
use crate::traceback::{current_line, short_source};
use crate::vm::Vm;

/// Somebody who looks at the program now and then.
pub trait Sampler {
    /// A slice of fuel is used up: so many units since the last one. The program goes on when this returns.
    fn sample(&mut self, vm: &Vm, units: u64);
}

/// A function that is running, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name that the caller knows it by.
    pub name: Option<Vec<u8>>,
    /// The function.
    pub function: Function,
}

/// A function, told apart from others by where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Function {
    /// A Lua function.
    Lua {
        /// The chunk's name for messages.
        chunk: Vec<u8>,
        /// The line where the function begins; 0 for a main chunk.
        defined: u32,
        /// The line being executed, if it is known.
        line: Option<u32>,
    },
    /// A native function, or a frame of the host's own; only a name could tell it from others.
    Native,
}

impl Vm {
    /// Has `sampler` look at the program from now on, in place of the one before; `None` ends it.
    pub fn set_sampler(&mut self, sampler: Option<Box<dyn Sampler>>) {
        self.sampler = sampler;
    }

    /// The running functions, innermost first, at most `most` of them. Below those of a coroutine come those of whoever
    /// resumed it.
    pub fn running_places(&self, most: usize) -> Vec<Place> {
        let mut places = Vec::new();
        let mut thread = self.thread;
        while !thread.is_null() && places.len() < most {
            // SAFETY: the running thread and the chain of its resumers are alive, and have their `pc`s stored: this is
            // called by a sampler, or by code that Lua has called.
            unsafe {
                add_places(self.dialect, thread, most, &mut places);
                thread = (*thread).resumer;
            }
        }
        places
    }

    /// Asks the sampler, if there is one. It is taken out for as long as it looks.
    #[inline]
    pub(crate) fn ask_sampler(&mut self, units: u64) {
        if let Some(mut sampler) = self.sampler.take() {
            sampler.sample(self, units);
            self.sampler = Some(sampler);
        }
    }
}

/// Adds the places of a thread until there are `most`.
///
/// # Safety
/// `thread` is alive, and its Lua frames have their `pc` stored.
unsafe fn add_places(dialect: &Dialect, thread: *mut Thread, most: usize, places: &mut Vec<Place>) {
    // SAFETY: the caller's duty; frames other than the bottom one have a function.
    unsafe {
        for f in frames_down(thread).filter(|&f| (*f).kind != frame::BOTTOM) {
            if places.len() == most {
                return;
            }
            places.push(place(dialect, f));
        }
    }
}

/// Where a frame is.
///
/// # Safety
/// As [`add_places`], of a frame that is not the bottom one.
unsafe fn place(dialect: &Dialect, f: *mut Frame) -> Place {
    // SAFETY: the caller's duty; the function slot holds the function, of a Lua frame a Lua closure.
    unsafe {
        let name = names::function_name(dialect, f, None).map(|(_, name)| name);
        let function = if (*f).kind == frame::LUA {
            let (plain, proto, _) = names::code_of(f);
            Function::Lua { chunk: short_source(dialect, proto), defined: plain.line_defined, line: current_line(f) }
        } else {
            Function::Native
        };
        Place { name, function }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::host::NullHost;
    use crate::limits::Limits;
    use crate::load::LoadMode;
    use crate::vm::VmOptions;

    type Stacks = Rc<RefCell<Vec<(u64, Vec<Place>)>>>;

    struct Keeper(Stacks);

    impl Sampler for Keeper {
        fn sample(&mut self, vm: &Vm, units: u64) {
            self.0.borrow_mut().push((units, vm.running_places(3)));
        }
    }

    /// What a sampler sees of a chunk.
    fn sampled(source: &str) -> (u64, Vec<(u64, Vec<Place>)>) {
        let options =
            VmOptions { dialect: Dialect::DEFAULT, host: Box::new(NullHost::new()), limits: Limits::default() };
        let mut vm = Vm::new(options);
        let stacks = Stacks::default();
        vm.set_sampler(Some(Box::new(Keeper(Rc::clone(&stacks)))));
        let chunk = vm.load(source.as_bytes(), b"=chunk", LoadMode::Text, None).expect("well formed");
        vm.host_call(chunk, &[], false).expect("no error");
        vm.set_sampler(None);
        (vm.fuel_used(), stacks.take())
    }

    const LOOP: &str = "local function spin(n)
        for i = 1, n do
          local x = i
        end
      end
      spin(1500000)
      return 1";

    #[test]
    fn a_loop_is_seen_where_it_runs() {
        let (_, stacks) = sampled(LOOP);
        assert!(stacks.len() > 5, "{} samples", stacks.len());
        let (_, places) = &stacks[2];
        assert_eq!(places.len(), 2);
        assert_eq!(places[0].name.as_deref(), Some(&b"spin"[..]));
        let Function::Lua { chunk, defined, line } = &places[0].function else { panic!("a Lua function") };
        assert_eq!((chunk.as_slice(), *defined), (&b"chunk"[..], 1));
        assert!(matches!(line, Some(2 | 3)), "{line:?}");
        assert!(matches!(places[1].function, Function::Lua { defined: 0, line: Some(6), .. }));
    }

    #[test]
    fn the_units_of_all_samples_are_the_fuel_but_for_the_last_slice() {
        let (used, stacks) = sampled(LOOP);
        let seen: u64 = stacks.iter().map(|(units, _)| units).sum();
        assert!(seen <= used && used - seen <= crate::limits::SLICE as u64, "{seen} of {used}");
        assert_eq!(sampled(LOOP), (used, stacks), "the same on every run");
    }

    #[test]
    fn deep_stacks_are_cut_at_the_outer_end() {
        let (_, stacks) = sampled(
            "local function deep(n)
               if n == 0 then for i = 1, 500000 do end else deep(n - 1) end
               return n
             end
             deep(50)",
        );
        let (_, places) = stacks.last().expect("a sample");
        assert_eq!(places.len(), 3);
        assert!(places.iter().all(|place| place.name.as_deref() == Some(b"deep")));
        assert_eq!(places[1].function, places[2].function);
    }
}
