//! Debug information: lines and local variables.

use super::{Problem, VerifyError};
use crate::proto::Proto;

pub(super) fn check(proto: &Proto) -> Result<(), VerifyError> {
    let len = proto.code.len();
    if !proto.lines.is_empty() && proto.lines.len() != len {
        return Err(Problem::Lines.whole());
    }
    // The variables of a point of the code are found by counting, so that only their number matters.
    let mut starts = Vec::with_capacity(proto.locals.len());
    let mut ends = Vec::with_capacity(proto.locals.len());
    for local in &proto.locals {
        if local.start > local.end || local.end as usize > len {
            return Err(Problem::Locals.whole());
        }
        starts.push(local.start);
        ends.push(local.end);
    }
    starts.sort_unstable();
    ends.sort_unstable();
    let mut ended = 0;
    for (started, &start) in starts.iter().enumerate() {
        while ends[ended] <= start && ended < started {
            ended += 1;
        }
        if started + 1 - ended > usize::from(proto.max_stack) {
            return Err(Problem::Locals.whole());
        }
    }
    Ok(())
}
