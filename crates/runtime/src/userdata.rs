//! Full userdata: a host value behind a metatable.

use std::any::Any;

use crate::heap::Heap;
use crate::object::{TableRef, UserDataRef};
use crate::value::Value;

impl UserDataRef {
    /// The metatable.
    #[inline]
    pub fn metatable(self) -> Option<TableRef> {
        // SAFETY: a `UserDataRef` refers to a live userdata, whose metatable is null or alive.
        unsafe {
            let m = (*self.as_ptr()).meta;
            (!m.is_null()).then(|| TableRef::from_ptr(m))
        }
    }

    /// Sets or removes the metatable.
    pub fn set_metatable(self, heap: &mut Heap, meta: Option<TableRef>) {
        // SAFETY: as in `metatable`; the barrier tells a collector that has passed this object.
        unsafe {
            (*self.as_ptr()).meta = meta.map_or(std::ptr::null_mut(), |m| m.as_ptr());
            if let Some(m) = meta {
                heap.barrier_forward(self.header(), Value::table(m));
            }
        }
    }

    /// Whether the host value is a `T`.
    pub fn is<T: 'static>(self) -> bool {
        // SAFETY: a `UserDataRef` refers to a live userdata. The value is asked for its type alone, which it has in its vtable.
        unsafe { (*self.as_ptr()).data.as_deref().is_some_and(<dyn Any>::is::<T>) }
    }

    /// The host value, if it is a `T`: for as long as the heap is lent out exclusively, so that nobody else has it.
    pub fn downcast_mut<T: 'static>(self, _heap: &mut Heap) -> Option<&mut T> {
        // SAFETY: the userdata is alive, and neither swept nor emptied as long as the heap is borrowed. All other borrows of the value
        // are borrows of the heap as well.
        unsafe { (*self.as_ptr()).data.as_deref_mut().and_then(|d| d.downcast_mut::<T>()) }
    }

    /// The host value, if it is a `T`.
    pub fn downcast_ref<T: 'static>(self, _heap: &Heap) -> Option<&T> {
        // SAFETY: as in `downcast_mut`.
        unsafe { self.peek() }
    }

    /// The host value, if it is a `T`, for who has no heap at hand.
    ///
    /// # Safety
    /// As long as the reference is used, the userdata is alive, its value is in it, and nobody has an exclusive reference to that.
    pub unsafe fn peek<'a, T: 'static>(self) -> Option<&'a T> {
        // SAFETY: the caller keeps the userdata and its value.
        unsafe { (*self.as_ptr()).data.as_deref().and_then(|d| d.downcast_ref::<T>()) }
    }

    /// Number of user values.
    pub fn user_value_count(self) -> u32 {
        // SAFETY: the userdata is alive.
        unsafe { (*self.as_ptr()).header.word }
    }

    /// The `n`-th user value, from 1.
    pub fn user_value(self, n: u32) -> Option<Value> {
        // SAFETY: the index is checked against the count of the buffer.
        unsafe { (n >= 1 && n <= self.user_value_count()).then(|| *(*self.as_ptr()).user_values.add(n as usize - 1)) }
    }

    /// Sets the `n`-th user value, from 1; false when there is none.
    pub fn set_user_value(self, heap: &mut Heap, n: u32, v: Value) -> bool {
        if n < 1 || n > self.user_value_count() {
            return false;
        }
        // SAFETY: as in `user_value`, with the barrier for a collector that has passed this object.
        unsafe {
            *(*self.as_ptr()).user_values.add(n as usize - 1) = v;
            heap.barrier_forward(self.header(), v);
        }
        true
    }
}
