//! Making objects other than strings, threads and prototypes.
//!
//! A new object is white. None of these functions collects, so their arguments need no roots.

use std::any::Any;
use std::ptr;

use super::{Heap, OutOfMemory};
use crate::object::{
    DirectFn, ErasedNative, Gc, GcHeader, Kind, LuaClosure, NativeClosure, Proto, Table, TableRef, UpVal, UserData,
    UserDataRef,
};
use crate::value::Value;

/// Most slots that a new table gets in its own cell.
pub const MAX_INLINE_SLOTS: u16 = 56;

impl Heap {
    /// A header of a new object.
    #[inline(always)]
    pub(super) fn header(&self, kind: Kind, word: u32) -> GcHeader {
        GcHeader { kind, mark: self.white(), flags: 0, aux: 0, word }
    }

    /// A table with room for `array` elements and `props` properties. The room for elements is a hint: without memory for
    /// it the table has none.
    #[inline]
    pub fn new_table(&mut self, array: u32, props: u16) -> TableRef {
        let inline = props.min(MAX_INLINE_SLOTS);
        let p: *mut Table = self.alloc_cell(size_of::<Table>() + inline as usize * size_of::<Value>()).cast();
        // SAFETY: the cell is new and has room for the struct and `inline` slots; none of them is in use with the root
        // shape.
        let t = unsafe {
            (&raw mut (*p).header).write(self.header(Kind::Table, 0));
            crate::table::init(p, self.shapes.root(), inline);
            TableRef::from_ptr(p)
        };
        if array > 0 {
            let _ = t.reserve(self, array as usize, 0);
        }
        t
    }

    /// A Lua function with `n` upvalues, which the caller sets before the next safepoint.
    ///
    /// # Safety
    /// `proto` is live.
    #[inline]
    pub unsafe fn new_lua_closure(&mut self, proto: *mut Proto, n: u32) -> Gc<LuaClosure> {
        let size = size_of::<LuaClosure>() + n as usize * size_of::<*mut UpVal>();
        let p: *mut LuaClosure = self.alloc_cell(size).cast();
        // SAFETY: the cell is new and has room for the struct and `n` pointers.
        unsafe {
            p.write(LuaClosure { header: self.header(Kind::LuaFn, n), proto });
            for i in 0..n as usize {
                LuaClosure::upvals(p).add(i).write(ptr::null_mut());
            }
            Gc::from_ptr(p)
        }
    }

    /// An open upvalue for a stack slot. The caller links it into its thread's list; see [`Heap::find_upval`].
    #[inline]
    pub fn new_upval(&mut self, slot: *mut Value) -> *mut UpVal {
        let p: *mut UpVal = self.alloc_cell(size_of::<UpVal>()).cast();
        // SAFETY: the cell is new and has room for the struct.
        unsafe { p.write(UpVal { header: self.header(Kind::UpVal, 0), slot, closed: Value::NIL }) };
        p
    }

    /// A closed upvalue.
    #[inline]
    pub fn new_closed_upval(&mut self, value: Value) -> *mut UpVal {
        let p = self.new_upval(ptr::null_mut());
        // SAFETY: the upvalue is new.
        unsafe {
            (*p).closed = value;
            (*p).slot = &raw mut (*p).closed;
        }
        p
    }

    /// A native function.
    #[inline]
    pub fn new_native(
        &mut self,
        code: ErasedNative,
        intrinsic: u32,
        direct: Option<DirectFn>,
        upvals: &[Value],
    ) -> Gc<NativeClosure> {
        let header = self.header(Kind::NativeFn, upvals.len() as u32);
        self.native(NativeClosure { header, code, intrinsic, control: 0, direct }, upvals)
    }

    /// A native function for which the interpreter switches frames or threads.
    pub fn new_control(&mut self, control: u32, intrinsic: u32, upvals: &[Value]) -> Gc<NativeClosure> {
        let header = self.header(Kind::NativeFn, upvals.len() as u32);
        let closure = NativeClosure { header, code: ptr::null(), intrinsic, control, direct: None };
        self.native(closure, upvals)
    }

    fn native(&mut self, closure: NativeClosure, upvals: &[Value]) -> Gc<NativeClosure> {
        let size = size_of::<NativeClosure>() + size_of_val(upvals);
        let p: *mut NativeClosure = self.alloc_cell(size).cast();
        // SAFETY: the cell is new and has room for the struct and the upvalues.
        unsafe {
            p.write(closure);
            ptr::copy_nonoverlapping(upvals.as_ptr(), NativeClosure::upvals(p), upvals.len());
            Gc::from_ptr(p)
        }
    }

    /// A full userdata with `n` user values. The size of `data` itself is counted, and `held` bytes for what it refers to, which the
    /// heap knows nothing of.
    pub fn new_userdata(&mut self, data: Box<dyn Any>, n: u32, held: usize) -> Result<UserDataRef, OutOfMemory> {
        let user_values: *mut Value = self.try_alloc_raw(n as usize * size_of::<Value>())?.cast();
        let p: *mut UserData = self.alloc_cell(size_of::<UserData>()).cast();
        let header = self.header(Kind::UserData, n);
        // SAFETY: the cell is new and has room for the struct, the buffer for `n` values.
        unsafe {
            for i in 0..n as usize {
                user_values.add(i).write(Value::NIL);
            }
            p.write(UserData { header, meta: ptr::null_mut(), data: Some(data), user_values, held });
            self.add_bytes((*p).host_bytes() as isize);
            Ok(UserDataRef::from_ptr(p))
        }
    }

    /// Takes the host's value out of a userdata. (Taking it from the field directly leaves its bytes counted.)
    pub fn take_userdata(&mut self, u: UserDataRef) -> Option<Box<dyn Any>> {
        // SAFETY: a reference in the mutator's hands is to a live userdata, and no reference to its field exists: those
        // that `downcast_ref` and `downcast_mut` hand out borrow the heap, and who calls `peek` sees to it.
        unsafe {
            self.add_bytes(-((*u.as_ptr()).host_bytes() as isize));
            (*u.as_ptr()).data.take()
        }
    }
}
