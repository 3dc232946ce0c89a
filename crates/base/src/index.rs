//! Typed indices into flat arenas.
//!
//! A tree that owns its nodes through boxes is dropped recursively, which a long chain turns into a
//! host stack overflow. Trees here live in [`Pool`]s instead, and refer to their nodes by [`Id`]
//! (one element) or [`Slice`] (a run of elements). Both carry the element type, so that an index
//! into one pool cannot be used on another.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::Index;

/// The index of one element of a [`Pool<T>`].
pub struct Id<T> {
    raw: u32,
    element: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// The id of the element at position `raw`.
    #[inline]
    #[must_use]
    pub const fn new(raw: u32) -> Self {
        Id { raw, element: PhantomData }
    }

    /// The position of the element in its pool.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.raw as usize
    }

    /// The position as stored.
    #[inline]
    #[must_use]
    pub const fn as_u32(self) -> u32 {
        self.raw
    }
}

/// A run of consecutive elements of a [`Pool<T>`].
pub struct Slice<T> {
    start: u32,
    len: u32,
    element: PhantomData<fn() -> T>,
}

impl<T> Slice<T> {
    /// The run without elements.
    pub const EMPTY: Self = Slice { start: 0, len: 0, element: PhantomData };

    /// The number of elements.
    #[inline]
    #[must_use]
    pub const fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there are no elements.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The ids of the elements, in order.
    #[inline]
    pub fn ids(self) -> impl DoubleEndedIterator<Item = Id<T>> + ExactSizeIterator {
        (self.start..self.start + self.len).map(Id::new)
    }
}

/// A growing arena of elements, indexed by [`Id`] and [`Slice`].
#[derive(Clone, Debug)]
pub struct Pool<T> {
    elements: Vec<T>,
}

impl<T> Pool<T> {
    /// An empty pool.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Pool { elements: Vec::new() }
    }

    /// Appends one element.
    ///
    /// # Panics
    ///
    /// This is a bug in the caller if the pool already holds `u32::MAX` elements: whoever fills a
    /// pool bounds its input first.
    #[inline]
    pub fn push(&mut self, element: T) -> Id<T> {
        let id = Id::new(u32::try_from(self.elements.len()).expect("pool full, this is a bug"));
        self.elements.push(element);
        id
    }

    /// Moves the elements of `from` at and after position `at` to the end of this pool, as one run.
    pub fn take_tail(&mut self, from: &mut Vec<T>, at: usize) -> Slice<T> {
        let start = u32::try_from(self.elements.len()).expect("pool full, this is a bug");
        self.elements.extend(from.drain(at..));
        let end = u32::try_from(self.elements.len()).expect("pool full, this is a bug");
        Slice { start, len: end - start, element: PhantomData }
    }

    /// The number of elements.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there are no elements.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// All elements, in order.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.elements
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool::new()
    }
}

impl<T> Index<Id<T>> for Pool<T> {
    type Output = T;

    #[inline]
    fn index(&self, id: Id<T>) -> &T {
        &self.elements[id.index()]
    }
}

impl<T> Index<Slice<T>> for Pool<T> {
    type Output = [T];

    #[inline]
    fn index(&self, run: Slice<T>) -> &[T] {
        &self.elements[run.start as usize..][..run.len as usize]
    }
}

// Derives would ask the same traits of `T`, which is only a marker here.

impl<T> Copy for Id<T> {}
impl<T> Clone for Id<T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> PartialEq for Id<T> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    #[inline]
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.raw.cmp(&other.raw)
    }
}
impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.raw.hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.raw)
    }
}

impl<T> Copy for Slice<T> {}
impl<T> Clone for Slice<T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> PartialEq for Slice<T> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.start == other.start && self.len == other.len
    }
}
impl<T> Eq for Slice<T> {}
impl<T> fmt::Debug for Slice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}+{}", self.start, self.len)
    }
}
