//! Warnings: the reference's default warning system, with its control messages `@on` and `@off`.

use crate::vm::{Vm, WarnState};

/// Emits a message, or a part of one that is continued.
pub(crate) fn warn(vm: &mut Vm, message: &[u8], to_be_continued: bool) {
    if vm.warnings != WarnState::Continuing && !to_be_continued && message.first() == Some(&b'@') {
        match message {
            b"@on" => vm.warnings = WarnState::On,
            b"@off" => vm.warnings = WarnState::Off,
            _ => {}
        }
        return;
    }
    let mut text = Vec::new();
    match vm.warnings {
        WarnState::Off => return,
        WarnState::On => text.extend_from_slice(b"Lua warning: "),
        WarnState::Continuing => {}
    }
    text.extend_from_slice(message);
    if to_be_continued {
        vm.warnings = WarnState::Continuing;
    } else {
        text.push(b'\n');
        vm.warnings = WarnState::On;
    }
    vm.host.report(&text);
}
