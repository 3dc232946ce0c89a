//! Programs around machine code: an executable that calls it once, and writes its memory to the standard output.
//!
//! That way code for any machine is run as what it is: by this processor, or by an emulator of programs, without a line of
//! `unsafe` here. The few instructions around the code are encoded by hand.

/// Where code is.
pub(super) const CODE: u64 = 0x4000_0000;
/// Where memory is, and how much of it.
pub(super) const DATA: u64 = 0x5000_0000;
pub(super) const DATA_SIZE: usize = 0x2_0000;

/// What segments of the file are aligned to: the largest pages of the machines.
const PAGE: usize = 0x1_0000;

/// The machines that programs are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arch {
    X86,
    Arm,
}

impl Arch {
    pub(super) const fn triple(self) -> &'static str {
        match self {
            Arch::X86 => "x86_64-unknown-linux-gnu",
            Arch::Arm => "aarch64-unknown-linux-gnu",
        }
    }

    /// How the file's header calls the machine.
    const fn number(self) -> u16 {
        match self {
            Arch::X86 => 62,
            Arch::Arm => 183,
        }
    }

    /// Begins a program: `function(args)`, its result to the address `result`, all of the memory to the standard output.
    pub(super) fn start(self, function: u64, args: [u64; 4], result: u64) -> Vec<u8> {
        match self {
            Arch::X86 => start_x86(function, args, result),
            Arch::Arm => start_arm(function, args, result),
        }
    }
}

fn start_x86(function: u64, args: [u64; 4], result: u64) -> Vec<u8> {
    // `mov r64, imm64`
    const RAX: u8 = 0xb8;
    const RCX: u8 = 0xb9;
    const RDX: u8 = 0xba;
    const RSI: u8 = 0xbe;
    const RDI: u8 = 0xbf;
    const WRITE: u64 = 1;
    const EXIT: u64 = 60;
    let mut code = Vec::new();
    let load = |code: &mut Vec<u8>, register: u8, value: u64| {
        code.extend([0x48, register]);
        code.extend(value.to_le_bytes());
    };
    for (register, arg) in [RDI, RSI, RDX, RCX].into_iter().zip(args) {
        load(&mut code, register, arg);
    }
    load(&mut code, RAX, function);
    code.extend([0xff, 0xd0]); // call rax
    load(&mut code, RCX, result);
    code.extend([0x48, 0x89, 0x01]); // mov [rcx], rax
    for (register, value) in [(RDI, 1), (RSI, DATA), (RDX, DATA_SIZE as u64), (RAX, WRITE)] {
        load(&mut code, register, value);
    }
    code.extend([0x0f, 0x05]); // syscall
    load(&mut code, RDI, 0);
    load(&mut code, RAX, EXIT);
    code.extend([0x0f, 0x05]); // syscall
    code
}

fn start_arm(function: u64, args: [u64; 4], result: u64) -> Vec<u8> {
    const WRITE: u64 = 64;
    const EXIT: u64 = 93;
    const SVC: u32 = 0xd400_0001;
    let mut code: Vec<u32> = Vec::new();
    let load = |code: &mut Vec<u32>, register: u32, value: u64| {
        // `movz` clears what the three `movk` then fill.
        for part in 0..4u32 {
            let op = if part == 0 { 0xd280_0000 } else { 0xf280_0000 };
            let bits = (value >> (16 * part)) as u32 & 0xffff;
            code.push(op | part << 21 | bits << 5 | register);
        }
    };
    for (register, arg) in (0..4).zip(args) {
        load(&mut code, register, arg);
    }
    load(&mut code, 9, function);
    code.push(0xd63f_0120); // blr x9
    load(&mut code, 9, result);
    code.push(0xf900_0120); // str x0, [x9]
    for (register, value) in [(0, 1), (1, DATA), (2, DATA_SIZE as u64), (8, WRITE)] {
        load(&mut code, register, value);
    }
    code.push(SVC);
    load(&mut code, 0, 0);
    load(&mut code, 8, EXIT);
    code.push(SVC);
    code.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// An executable file with this code, which begins at [`CODE`] and at whose start the program starts, and this memory.
pub(super) fn executable(arch: Arch, code: &[u8], data: &[u8]) -> Vec<u8> {
    const HEADER: usize = 64;
    const SEGMENT: usize = 56;
    let code_at = PAGE;
    let data_at = (code_at + code.len()).next_multiple_of(PAGE);
    let mut file = Vec::with_capacity(data_at + data.len());
    file.extend(*b"\x7fELF");
    file.extend([2, 1, 1, 0]); // 64 bits, little endian, version 1, System V
    file.extend([0; 8]);
    file.extend(2u16.to_le_bytes()); // an executable
    file.extend(arch.number().to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend(CODE.to_le_bytes()); // entry
    file.extend((HEADER as u64).to_le_bytes()); // segments
    file.extend(0u64.to_le_bytes()); // sections: none
    file.extend(0u32.to_le_bytes()); // flags
    for half in [HEADER, SEGMENT, 2, 0, 0, 0] {
        file.extend((half as u16).to_le_bytes());
    }
    const READ_EXECUTE: u32 = 5;
    const READ_WRITE: u32 = 6;
    for (flags, at, address, bytes) in
        [(READ_EXECUTE, code_at, CODE, code.len()), (READ_WRITE, data_at, DATA, data.len())]
    {
        file.extend(1u32.to_le_bytes()); // loaded
        file.extend(flags.to_le_bytes());
        for word in [at as u64, address, address, bytes as u64, bytes as u64, PAGE as u64] {
            file.extend(word.to_le_bytes());
        }
    }
    file.resize(code_at, 0);
    file.extend(code);
    file.resize(data_at, 0);
    file.extend(data);
    file
}
