//! The value in a userdata, and borrows of it.

use std::cell::{Ref, RefCell, RefMut};
use std::fmt;

use super::AnyUserData;
use crate::error::{Error, Result};
use crate::lua::Lua;
use crate::raw::scope::{Loan, still_used};
use crate::raw::{Guarded, Handle, OwnedRef, OwnedRefMut};

/// The value in a userdata; none once it was taken out, or its loan has ended.
pub(crate) struct UserCell<T>(RefCell<Option<Stored<T>>>);

/// Whose a value is.
enum Stored<T> {
    /// The userdata's.
    Owned(Guarded<T>),
    /// The host's, borrowed by a scope.
    Lent(Loan<T>),
}

impl<T> Stored<T> {
    fn get(&self) -> &T {
        match self {
            Stored::Owned(value) => value,
            Stored::Lent(loan) => loan.get(),
        }
    }

    fn get_mut(&mut self) -> Option<&mut T> {
        match self {
            Stored::Owned(value) => Some(value),
            Stored::Lent(loan) => loan.get_mut(),
        }
    }
}

impl<T> UserCell<T> {
    pub(super) fn new(lua: &Lua, value: T) -> UserCell<T> {
        UserCell(RefCell::new(Some(Stored::Owned(Guarded::new(lua, value)))))
    }

    pub(super) fn lent(loan: Loan<T>) -> UserCell<T> {
        UserCell(RefCell::new(Some(Stored::Lent(loan))))
    }

    /// Refuses a value that is lent, for borrows that the host may keep.
    fn check_owned(&self) -> Result<()> {
        match self.0.try_borrow().as_deref() {
            Ok(Some(Stored::Lent(_))) => Err(Error::UserDataLent),
            _ => Ok(()),
        }
    }

    pub(super) fn borrow(&self) -> Result<Ref<'_, T>> {
        let value = self.0.try_borrow().map_err(|_| Error::UserDataBorrowError)?;
        Ref::filter_map(value, |v| v.as_ref().map(Stored::get)).map_err(|_| Error::UserDataDestructed)
    }

    pub(super) fn borrow_mut(&self) -> Result<RefMut<'_, T>> {
        let value = self.0.try_borrow_mut().map_err(|_| Error::UserDataBorrowMutError)?;
        if value.is_none() {
            return Err(Error::UserDataDestructed);
        }
        RefMut::filter_map(value, |v| v.as_mut().and_then(Stored::get_mut)).map_err(|_| Error::UserDataBorrowMutError)
    }

    /// Takes the value out, for good. One that is lent stays where it is.
    pub(super) fn take(&self) -> Result<T> {
        let mut value = self.0.try_borrow_mut().map_err(|_| Error::UserDataBorrowMutError)?;
        match value.take() {
            Some(Stored::Owned(owned)) => Ok(owned.into_inner()),
            lent @ Some(Stored::Lent(_)) => {
                *value = lent;
                Err(Error::UserDataBorrowMutError)
            }
            None => Err(Error::UserDataDestructed),
        }
    }

    /// Ends a loan. The process cannot go on if the value is borrowed from here: it is about to be gone.
    pub(crate) fn end_loan(&self) {
        match self.0.try_borrow_mut() {
            Ok(mut value) => drop(value.take()),
            Err(_) => still_used(),
        }
    }
}

/// A borrow of a userdata's value. As an argument of a Rust function, it accepts userdata of this type only, and none that
/// a [`Scope`](crate::Scope) lends; see [`AnyUserData::borrow_scoped`].
pub struct UserDataRef<T: 'static>(OwnedRef<T, Handle>);

impl<T: 'static> UserDataRef<T> {
    pub(crate) fn new(u: AnyUserData) -> Result<UserDataRef<T>> {
        match OwnedRef::new::<UserCell<T>, Error>(u.0, |cell| cell.check_owned().and_then(|()| cell.borrow())) {
            Some(borrow) => borrow.map(UserDataRef),
            None => Err(Error::UserDataTypeMismatch),
        }
    }
}

impl<T> std::ops::Deref for UserDataRef<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// An exclusive borrow of a userdata's value.
pub struct UserDataRefMut<T: 'static>(OwnedRefMut<T, Handle>);

impl<T: 'static> UserDataRefMut<T> {
    pub(crate) fn new(u: AnyUserData) -> Result<UserDataRefMut<T>> {
        match OwnedRefMut::new::<UserCell<T>, Error>(u.0, |cell| cell.check_owned().and_then(|()| cell.borrow_mut())) {
            Some(borrow) => borrow.map(UserDataRefMut),
            None => Err(Error::UserDataTypeMismatch),
        }
    }
}

impl<T> std::ops::Deref for UserDataRefMut<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> std::ops::DerefMut for UserDataRefMut<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for UserDataRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for UserDataRefMut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
