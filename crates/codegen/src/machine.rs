//! The machine that code is made for, and the state that is used again from one compilation to the next.

use std::fmt;

use cranelift_codegen::Context;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::Function;
use cranelift_codegen::isa::{self, CallConv, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::FunctionBuilderContext;
use perilune_trace::ir::Tree;
use target_lexicon::{Architecture, Triple};

use crate::layout::Environment;
use crate::lower::{self, convention};
use crate::mir::{self, Block, Func};
use crate::quick;

/// Why there is no code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodegenError {
    /// Cranelift has no back end for the machine, or not the settings.
    Machine(String),
    /// Cranelift refused the function: this is a bug.
    Function(String),
    /// The function would be too large.
    TooLarge,
}

impl fmt::Display for CodegenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodegenError::Machine(why) => write!(f, "no code can be made for this machine: {why}"),
            CodegenError::Function(why) => write!(f, "a trace was refused, which is a bug: {why}"),
            CodegenError::TooLarge => write!(f, "a trace is too large"),
        }
    }
}

impl std::error::Error for CodegenError {}

/// How much work is put into code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// Little: the code is there in about a seventh of the time, passes and all. Where that is not known how to do, as with [`Effort::Full`].
    Quick,
    /// All of Cranelift's.
    #[default]
    Full,
}

/// Code of a tree: position independent, without relocations.
#[derive(Clone, Debug)]
pub struct Code {
    /// The bytes, the function's first instruction first.
    pub bytes: Vec<u8>,
    /// The alignment that the first byte needs.
    pub align: usize,
    /// How much work was put into it.
    pub effort: Effort,
    /// The function in Cranelift's form, if it was asked for.
    pub clif: Option<String>,
    /// The listing of the machine code, if it was asked for.
    pub listing: Option<String>,
}

/// Code by which the VM calls compiled functions: position independent, without relocations.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The bytes. The gate comes first: `fn(vm, base, header, code) -> n` calls the function with this code as trees are
    /// called.
    pub bytes: Vec<u8>,
    /// Where the code of functions begins that have none.
    pub refusal: usize,
}

/// A machine to make code for.
pub struct Machine {
    triple: Triple,
    features: Features,
    builder: mir::Builder,
    /// What quick code may use.
    pub(crate) quick: quick::Features,
    /// Once it was needed. Most programs end before that, and it takes memory and time.
    cranelift: Option<Cranelift>,
    /// Whether listings are wanted.
    pub explain: bool,
}

/// Tells Cranelift which instructions a processor has beyond the least.
type Features = fn(&mut isa::Builder) -> Result<(), CodegenError>;

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("triple", &self.triple.to_string()).finish_non_exhaustive()
    }
}

/// Cranelift for a machine, and what it uses again from one function to the next.
struct Cranelift {
    isa: OwnedTargetIsa,
    context: Context,
    frontend: FunctionBuilderContext,
}

/// What is asked of Cranelift, and why.
///
/// `opt_level=none`: the IR is optimised already, and higher levels move hoisted values back into loops.
/// `preserve_frame_pointers`: profilers can walk the stack. Unwind information is left out: nothing unwinds through code.
const SETTINGS: &[(&str, &str)] = &[
    ("opt_level", "none"),
    ("regalloc_algorithm", "backtracking"),
    ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
    ("unwind_info", "false"),
    ("preserve_frame_pointers", "true"),
    ("is_pic", "false"),
    ("enable_alias_analysis", "false"),
    ("enable_probestack", "false"),
    // Compiled functions have three results, all in registers.
    ("enable_llvm_abi_extensions", "true"),
];

/// What functions begin at a multiple of.
const ALIGN: usize = 16;

impl Machine {
    /// The machine that a triple such as `x86_64-unknown-linux-gnu` names.
    ///
    /// # Errors
    /// If Cranelift has no back end for it.
    pub fn of_triple(triple: &str) -> Result<Machine, CodegenError> {
        let triple: Triple = triple.parse().map_err(|e| CodegenError::Machine(format!("{e}")))?;
        Machine::new(triple, |_| Ok(()))
    }

    /// This machine.
    ///
    /// # Errors
    /// If Cranelift has no back end for it.
    pub fn host() -> Result<Machine, CodegenError> {
        has_rounding()?;
        let mut machine = Machine::new(Triple::host(), host_features)?;
        machine.quick = quick::Features::of_host();
        Ok(machine)
    }

    fn new(triple: Triple, features: Features) -> Result<Machine, CodegenError> {
        let builder = mir::Builder::default();
        let quick = quick::Features::default();
        let mut machine = Machine { triple, features, builder, quick, cranelift: None, explain: false };
        if !machine.is_quick() {
            machine.cranelift = Some(Cranelift::new(&machine.triple, features)?);
        }
        Ok(machine)
    }

    /// Whether quick code is known for the machine.
    fn is_quick(&self) -> bool {
        self.triple.architecture == Architecture::X86_64 && CallConv::triple_default(&self.triple) == CallConv::SystemV
    }

    /// Cranelift, and the function that was built.
    fn cranelift(&mut self) -> Result<(&mut Cranelift, &Func), CodegenError> {
        let cranelift = match self.cranelift.take() {
            Some(cranelift) => cranelift,
            None => Cranelift::new(&self.triple, self.features)?,
        };
        Ok((self.cranelift.insert(cranelift), self.builder.finish()))
    }

    /// Makes the code of a tree.
    ///
    /// # Errors
    /// [`CodegenError::Function`] is a bug here or there; the tree can still be interpreted.
    pub fn compile(&mut self, tree: &Tree, env: &Environment, effort: Effort) -> Result<Code, CodegenError> {
        let headers = lower::lower(tree, env, &mut self.builder);
        let (bytes, effort, listing) = self.translate(&headers, effort)?;
        let clif = if self.explain { Some(self.clif()?) } else { None };
        Ok(Code { bytes, align: ALIGN, effort, clif, listing })
    }

    /// Makes the gate for calls of compiled functions by a VM whose fuel counter is at offset `fuel`.
    ///
    /// # Errors
    /// As [`Machine::compile`].
    pub fn compile_gate(&mut self, fuel: i32) -> Result<Gate, CodegenError> {
        convention::gate(fuel, &mut self.builder);
        let (mut bytes, ..) = self.translate(&[], Effort::Quick)?;
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        let refusal = bytes.len();
        convention::refusal(fuel, &mut self.builder);
        let (rest, ..) = self.translate(&[], Effort::Quick)?;
        bytes.extend(rest);
        Ok(Gate { bytes, refusal })
    }

    /// The function that was built in Cranelift's form.
    fn clif(&mut self) -> Result<String, CodegenError> {
        let (cranelift, func) = self.cranelift()?;
        Ok(cranelift.take(func).display().to_string())
    }

    /// Translates the function that was built: the bytes, the work that was put into them, and the listing.
    fn translate(
        &mut self,
        headers: &[Block],
        effort: Effort,
    ) -> Result<(Vec<u8>, Effort, Option<String>), CodegenError> {
        if effort == Effort::Quick && self.is_quick() {
            match quick::compile(self.builder.finish(), headers, self.quick, self.explain) {
                Ok((bytes, listing)) => return Ok((bytes, effort, listing)),
                Err(unknown) => debug_assert!(false, "{unknown:?}"),
            }
        }
        let explain = self.explain;
        let (cranelift, func) = self.cranelift()?;
        let (bytes, listing) = cranelift.compile(func, explain)?;
        Ok((bytes, Effort::Full, listing))
    }
}

impl Cranelift {
    fn new(triple: &Triple, features: Features) -> Result<Cranelift, CodegenError> {
        let refuse = |e: &dyn fmt::Display| CodegenError::Machine(e.to_string());
        let mut flags = settings::builder();
        for (name, value) in SETTINGS {
            flags.set(name, value).map_err(|e| refuse(&e))?;
        }
        let mut builder = isa::lookup(triple.clone()).map_err(|e| refuse(&e))?;
        features(&mut builder)?;
        let isa = builder.finish(settings::Flags::new(flags)).map_err(|e| refuse(&e))?;
        Ok(Cranelift { isa, context: Context::new(), frontend: FunctionBuilderContext::new() })
    }

    /// The function in its own form.
    fn take(&mut self, func: &Func) -> &Function {
        self.context.clear();
        let (call_conv, target) = (self.isa.default_call_conv(), self.isa.frontend_config());
        mir::translate(func, &mut self.context.func, &mut self.frontend, call_conv, target);
        &self.context.func
    }

    /// The bytes of a function, and the listing if it is asked for.
    fn compile(&mut self, func: &Func, explain: bool) -> Result<(Vec<u8>, Option<String>), CodegenError> {
        self.take(func);
        self.context.set_disasm(explain);
        let compiled = self
            .context
            .compile(&*self.isa, &mut ControlPlane::default())
            .map_err(|e| CodegenError::Function(format!("{:?}", e.inner)))?;
        debug_assert!(compiled.buffer.alignment as usize <= ALIGN, "functions begin at multiples of it");
        let mut bytes = compiled.code_buffer().to_vec();
        for reloc in compiled.buffer.relocs() {
            call_own(&mut bytes, reloc.kind, reloc.offset, reloc.addend)?;
        }
        Ok((bytes, compiled.vcode.clone()))
    }
}

/// Fills in the distance of a function's call of itself, which begins where its code does. All other addresses are constants.
fn call_own(bytes: &mut [u8], kind: Reloc, offset: u32, addend: i64) -> Result<(), CodegenError> {
    let at = offset as usize;
    let distance = addend - i64::from(offset);
    let field = bytes.get_mut(at..at + 4).and_then(|field| <&mut [u8; 4]>::try_from(field).ok());
    match (kind, field) {
        (Reloc::X86CallPCRel4, Some(field)) => *field = (distance as i32).to_le_bytes(),
        (Reloc::Arm64Call, Some(field)) => {
            let words = (distance >> 2) as u32 & ARM64_CALL_DISTANCE;
            *field = (u32::from_le_bytes(*field) & !ARM64_CALL_DISTANCE | words).to_le_bytes();
        }
        (kind, _) => return Err(CodegenError::Function(format!("{kind:?} is no call of the function itself"))),
    }
    Ok(())
}

/// The bits of AArch64's instruction for calls that say how far away the function is, in words.
const ARM64_CALL_DISTANCE: u32 = (1 << 26) - 1;

/// Tells Cranelift which instructions this processor has beyond the least.
#[cfg(target_arch = "x86_64")]
fn host_features(builder: &mut isa::Builder) -> Result<(), CodegenError> {
    let features = [
        ("has_sse3", std::is_x86_feature_detected!("sse3")),
        ("has_ssse3", std::is_x86_feature_detected!("ssse3")),
        ("has_sse41", std::is_x86_feature_detected!("sse4.1")),
        ("has_sse42", std::is_x86_feature_detected!("sse4.2")),
        ("has_popcnt", std::is_x86_feature_detected!("popcnt")),
        ("has_avx", std::is_x86_feature_detected!("avx")),
        ("has_avx2", std::is_x86_feature_detected!("avx2")),
        ("has_bmi1", std::is_x86_feature_detected!("bmi1")),
        ("has_bmi2", std::is_x86_feature_detected!("bmi2")),
        ("has_lzcnt", std::is_x86_feature_detected!("lzcnt")),
    ];
    for (name, present) in features {
        if present {
            builder.enable(name).map_err(|e| CodegenError::Machine(e.to_string()))?;
        }
    }
    Ok(())
}

/// Floats are rounded by an instruction: without it Cranelift would call a function that the code has no way to name.
fn has_rounding() -> Result<(), CodegenError> {
    #[cfg(target_arch = "x86_64")]
    if !std::is_x86_feature_detected!("sse4.1") {
        return Err(CodegenError::Machine("the processor lacks SSE4.1".to_owned()));
    }
    Ok(())
}

#[cfg(not(target_arch = "x86_64"))]
fn host_features(_builder: &mut isa::Builder) -> Result<(), CodegenError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use cranelift_codegen::binemit::Reloc;

    use super::call_own;

    #[test]
    fn calls_of_the_function_itself_go_to_its_first_byte() {
        let mut x64 = [0x90, 0x90, 0xe8, 0, 0, 0, 0];
        assert_eq!(call_own(&mut x64, Reloc::X86CallPCRel4, 3, -4), Ok(()));
        assert_eq!(x64, [0x90, 0x90, 0xe8, 0xf9, 0xff, 0xff, 0xff], "7 bytes back from its end");
        let mut arm64 = [0; 12];
        arm64[8..].copy_from_slice(&0x9400_0000_u32.to_le_bytes());
        assert_eq!(call_own(&mut arm64, Reloc::Arm64Call, 8, 0), Ok(()));
        assert_eq!(arm64[8..], 0x97ff_fffe_u32.to_le_bytes(), "2 words back");
    }

    #[test]
    fn other_addresses_are_refused() {
        assert!(call_own(&mut [0; 8], Reloc::Abs8, 0, 0).is_err());
        assert!(call_own(&mut [0; 4], Reloc::X86CallPCRel4, 2, -4).is_err());
    }
}
