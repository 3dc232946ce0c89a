//! Environments of functions and threads, where the language has them (`setfenv`, `getfenv`).
//!
//! A Lua function's environment is its first upvalue, which all functions share until one gets another: then that function
//! alone refers to a new variable, which functions that it creates from then on inherit. So the access to a global costs the
//! same as with `_ENV`, and creating a closure too.
//!
//! Threads, native functions and userdata have the table of globals as their environment, until they get another: those
//! few stand in a table with weak keys.

use perilune_base::dialect::table::Environments;
use perilune_runtime::object::{LuaClosure, TableRef, ThreadRef};
use perilune_runtime::value::{Tag, Value};

use crate::native::Raised;
use crate::vm::Vm;

/// The field of the registry with the environments of what is no Lua function.
const OTHERS: &str = "_ENVIRONMENTS";

impl Vm {
    /// The environment of a function, userdata or thread.
    pub fn environment(&mut self, owner: Value) -> Value {
        if let Some(f) = owner.as_lua_fn() {
            // SAFETY: the closure and its upvalues are alive.
            return unsafe { *(**LuaClosure::upvals(f.as_ptr())).slot };
        }
        let registry = self.registry;
        let kept = match self.get_field(registry, OTHERS).as_table() {
            Some(others) => others.get(owner),
            None => Value::NIL,
        };
        if kept.is_nil() { Value::table(self.globals) } else { kept }
    }

    /// Gives a function, userdata or thread another environment.
    pub fn set_environment(&mut self, owner: Value, environment: TableRef) -> Result<(), Raised> {
        if let Some(f) = owner.as_lua_fn() {
            let up = self.heap.new_closed_upval(Value::table(environment));
            // SAFETY: the closure is alive; where functions have environments, all have this upvalue.
            unsafe {
                *LuaClosure::upvals(f.as_ptr()) = up;
                self.heap.barrier_object(f.header(), up.cast());
            }
            self.flush_compiled();
            return Ok(());
        }
        let others = self.other_environments();
        self.raw_set(others, owner, Value::table(environment))
    }

    /// The table of globals of the running thread: what new chunks get as their environment.
    pub fn thread_globals(&mut self) -> Value {
        match self.dialect.environments {
            Environments::Functions => {
                let (thread, _) = self.running();
                self.environment(Value::thread(thread))
            }
            Environments::Variable => Value::table(self.globals),
        }
    }

    /// Lets a new thread have the globals of the one that creates it.
    pub(crate) fn inherit_globals(&mut self, thread: ThreadRef) -> Result<(), Raised> {
        let inherited = self.thread_globals();
        match inherited.as_table() {
            Some(t) if t != self.globals => self.set_environment(Value::thread(thread), t),
            _ => Ok(()),
        }
    }

    fn other_environments(&mut self) -> TableRef {
        let registry = self.registry;
        if let Some(others) = self.get_field(registry, OTHERS).as_table() {
            return others;
        }
        let others = self.weak_table();
        self.set_field(registry, OTHERS, Value::table(others));
        debug_assert_eq!(Value::table(others).tag, Tag::Table);
        others
    }

    /// A new table that keeps none of its keys alive.
    pub(crate) fn weak_table(&mut self) -> TableRef {
        let (table, meta) = (self.table(0, 0), self.table(0, 1));
        let mode = self.string(b"k");
        self.set_field(meta, "__mode", mode);
        table.set_metatable(&mut self.heap, Some(meta));
        table
    }
}
