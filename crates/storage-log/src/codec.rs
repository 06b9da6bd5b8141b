//! How records and states are written: little-endian numbers, LEB128 varints, length-prefixed bytes.
//!
//! Every decoder is total: bytes that are not what an encoder wrote are [`Malformed`], never a panic.

mod record;
mod state;
mod wire;

pub(crate) use record::{decode_record, encode_record, read_name};
pub(crate) use state::{
    decode_state, earliest, encode_state, is_scheduled, mark_corrupt, with_id, without_id,
};
pub(crate) use wire::{Malformed, Reader, Writer};
