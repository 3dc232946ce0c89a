//! A file with a buffer, like C's `FILE`.
//!
//! The buffer holds either bytes that were read ahead or bytes that wait to be written, never both:
//!
//! ```text
//!            write: step back over the unread bytes
//!   reading ------------------------------------------> writing
//!           <------------------------------------------
//!            read, seek, flush, close: write the waiting bytes
//! ```
//!
//! Bytes that could not be written are gone, as in glibc: the next flush or close does not fail for them again. When they were
//! written on behalf of something else, as by [`Stream::flush_and_remember`], the failure waits for the first who asks.

use std::io::SeekFrom;

use super::{Closed, HostError, HostFile, HostResult, OpenMode, PipeMode};

/// Size of a buffer unless a script asks for another.
const DEFAULT_CAPACITY: usize = 8 << 10;

/// The largest buffer that a script gets.
const MAX_CAPACITY: usize = 1 << 20;

/// When written bytes leave the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffering {
    /// At once.
    None,
    /// When a line ends, or the buffer is full.
    Line,
    /// When the buffer is full.
    Full,
}

/// A file with a buffer.
pub struct Stream {
    /// `None` only while it is being closed.
    file: Option<Box<dyn HostFile>>,
    can_write: bool,
    buffering: Buffering,
    capacity: usize,
    /// Bytes read ahead, or bytes that wait to be written.
    buffer: Vec<u8>,
    /// Reading: the first unread byte in `buffer`.
    at: usize,
    is_writing: bool,
    /// Why bytes could not be written, if nobody has been told.
    failure: Option<HostError>,
}

impl Stream {
    /// A fully buffered stream over a file that was opened for reading only, or else can be written too.
    pub fn new(file: Box<dyn HostFile>, can_write: bool) -> Stream {
        Stream {
            file: Some(file),
            can_write,
            buffering: Buffering::Full,
            capacity: DEFAULT_CAPACITY,
            buffer: Vec::new(),
            at: 0,
            is_writing: false,
            failure: None,
        }
    }

    /// A stream over a file opened with `mode`.
    pub fn with_mode(file: Box<dyn HostFile>, mode: OpenMode) -> Stream {
        Stream::new(file, mode.writes())
    }

    /// A stream over one end of a pipe.
    pub fn with_pipe_mode(file: Box<dyn HostFile>, mode: PipeMode) -> Stream {
        Stream::new(file, mode == PipeMode::Write)
    }

    /// When written bytes leave the buffer.
    pub fn buffering(&self) -> Buffering {
        self.buffering
    }

    /// Whether something has been read ahead, so that the next byte needs no waiting.
    pub fn has_unread(&self) -> bool {
        !self.is_writing && self.at < self.buffer.len()
    }

    /// Changes the buffering; `size` is a wish.
    pub fn set_buffering(&mut self, buffering: Buffering, size: usize) -> HostResult<()> {
        self.flush()?;
        self.buffering = buffering;
        self.capacity = match buffering {
            Buffering::None => DEFAULT_CAPACITY,
            Buffering::Line | Buffering::Full if size == 0 => DEFAULT_CAPACITY,
            Buffering::Line | Buffering::Full => size.min(MAX_CAPACITY),
        };
        Ok(())
    }

    /// The unread bytes, at least one unless the file is at its end. Mark what was used with [`Stream::consume`].
    pub fn fill(&mut self) -> HostResult<&[u8]> {
        self.stop_writing()?;
        if self.at == self.buffer.len() {
            self.buffer.resize(self.capacity, 0);
            self.at = 0;
            let read = match &mut self.file {
                Some(file) => file.read(&mut self.buffer),
                None => Err(HostError::bad_descriptor()),
            };
            self.buffer.truncate(*read.as_ref().unwrap_or(&0));
            read?;
        }
        Ok(&self.buffer[self.at..])
    }

    /// Marks bytes that [`Stream::fill`] gave as read.
    pub fn consume(&mut self, count: usize) {
        self.at = (self.at + count).min(self.buffer.len());
    }

    /// Appends up to `limit` bytes to `into`, as many as come at once, and says how many; 0 at the end of the file.
    pub fn read(&mut self, into: &mut Vec<u8>, limit: usize) -> HostResult<usize> {
        // A long read goes past the empty buffer, in pieces that grow: most files are short.
        if !self.is_writing
            && self.at == self.buffer.len()
            && limit >= self.capacity
            && let Some(file) = &mut self.file
        {
            const LONGEST: usize = 64 << 10;
            let start = into.len();
            let piece = (2 * start).max(self.capacity).min(LONGEST);
            into.resize(start + limit.min(piece), 0);
            let read = file.read(&mut into[start..]);
            into.truncate(start + *read.as_ref().unwrap_or(&0));
            return read;
        }
        let unread = self.fill()?;
        let count = unread.len().min(limit);
        into.extend_from_slice(&unread[..count]);
        self.consume(count);
        Ok(count)
    }

    /// Writes all of `bytes`, sooner or later.
    pub fn write(&mut self, bytes: &[u8]) -> HostResult<()> {
        if !self.can_write {
            return Err(HostError::bad_descriptor());
        }
        self.start_writing();
        if self.buffering == Buffering::None {
            self.flush()?;
            return self.write_through(bytes);
        }
        if self.buffer.len() + bytes.len() > self.capacity {
            self.flush()?;
            if bytes.len() >= self.capacity {
                return self.write_through(bytes);
            }
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffering == Buffering::Line && bytes.contains(&b'\n') {
            self.flush()?;
        }
        Ok(())
    }

    /// Whether so many bytes can wait in the buffer, so that writing them cannot fail.
    #[inline]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.is_writing && self.buffering == Buffering::Full && self.buffer.len() + bytes <= self.capacity
    }

    /// Writes what waits in the buffer; fails, too, for what an earlier [`Stream::flush_and_remember`] could not write.
    pub fn flush(&mut self) -> HostResult<()> {
        let earlier = match self.failure.take() {
            Some(error) => Err(error),
            None => Ok(()),
        };
        if !self.is_writing {
            return earlier;
        }
        let waiting = std::mem::take(&mut self.buffer);
        let result = self.write_through(&waiting);
        self.buffer = waiting;
        self.buffer.clear();
        earlier.and(result)
    }

    /// Writes what waits in the buffer for the sake of another stream or process, whose user does not care whether it failed:
    /// the next flush, close, or write that reaches the file does.
    pub fn flush_and_remember(&mut self) {
        self.failure = self.flush().err();
    }

    /// Moves, and gives the position from the start.
    pub fn seek(&mut self, to: SeekFrom) -> HostResult<u64> {
        self.stop_writing()?;
        let unread = (self.buffer.len() - self.at) as u64;
        let Some(file) = &mut self.file else { return Err(HostError::bad_descriptor()) };
        match to {
            // Asking for the position keeps what was read ahead.
            SeekFrom::Current(0) => file.seek(to).map(|position| position.saturating_sub(unread)),
            SeekFrom::Current(offset) => {
                let offset = offset.checked_sub(unread as i64).ok_or_else(HostError::invalid_argument)?;
                let position = file.seek(SeekFrom::Current(offset))?;
                self.drop_unread();
                Ok(position)
            }
            SeekFrom::Start(_) | SeekFrom::End(_) => {
                let position = file.seek(to)?;
                self.drop_unread();
                Ok(position)
            }
        }
    }

    /// Writes what waits, closes the file and reports the first thing that failed.
    pub fn close(mut self) -> HostResult<Closed> {
        let flushed = self.flush();
        let closed = match self.file.take() {
            Some(file) => file.close(),
            None => Ok(Closed::File),
        };
        flushed.and(closed)
    }

    fn drop_unread(&mut self) {
        self.buffer.clear();
        self.at = 0;
    }

    fn stop_writing(&mut self) -> HostResult<()> {
        self.flush()?;
        self.is_writing = false;
        Ok(())
    }

    fn start_writing(&mut self) {
        if !self.is_writing {
            let unread = self.buffer.len() - self.at;
            self.drop_unread();
            if unread > 0
                && let Some(file) = &mut self.file
            {
                // What cannot move back has no place to go back to either: terminals and pipes just write.
                let _ = file.seek(SeekFrom::Current(-(unread as i64)));
            }
            self.is_writing = true;
        }
    }

    fn write_through(&mut self, bytes: &[u8]) -> HostResult<()> {
        let mut done = 0;
        while done < bytes.len() {
            done += write_some(&mut self.file, &bytes[done..])?;
        }
        Ok(())
    }
}

fn write_some(file: &mut Option<Box<dyn HostFile>>, bytes: &[u8]) -> HostResult<usize> {
    let Some(file) = file else { return Err(HostError::bad_descriptor()) };
    match file.write(bytes)? {
        0 => Err(HostError { message: "Input/output error".to_owned(), code: 5 }),
        count => Ok(count),
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A stream that nobody closed: C writes its buffer at the end of the program, and tells nobody if it cannot.
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[derive(Default)]
    struct Disk {
        bytes: Vec<u8>,
        at: usize,
        is_full: bool,
        /// Sizes of the reads and writes that reached the file.
        calls: Vec<usize>,
    }

    #[derive(Clone, Default)]
    struct Memory(Rc<RefCell<Disk>>);

    impl HostFile for Memory {
        fn read(&mut self, into: &mut [u8]) -> HostResult<usize> {
            let mut disk = self.0.borrow_mut();
            let count = into.len().min(disk.bytes.len() - disk.at);
            into[..count].copy_from_slice(&disk.bytes[disk.at..disk.at + count]);
            disk.at += count;
            disk.calls.push(count);
            Ok(count)
        }

        fn write(&mut self, bytes: &[u8]) -> HostResult<usize> {
            let mut disk = self.0.borrow_mut();
            if disk.is_full {
                return Err(HostError { message: "No space left on device".to_owned(), code: 28 });
            }
            let at = disk.at;
            let end = at + bytes.len();
            if disk.bytes.len() < end {
                disk.bytes.resize(end, 0);
            }
            disk.bytes[at..end].copy_from_slice(bytes);
            disk.at = end;
            disk.calls.push(bytes.len());
            Ok(bytes.len())
        }

        fn seek(&mut self, to: SeekFrom) -> HostResult<u64> {
            let mut disk = self.0.borrow_mut();
            let position = match to {
                SeekFrom::Start(position) => position as i64,
                SeekFrom::Current(offset) => disk.at as i64 + offset,
                SeekFrom::End(offset) => disk.bytes.len() as i64 + offset,
            };
            if position < 0 {
                return Err(HostError::invalid_argument());
            }
            disk.at = position as usize;
            Ok(position as u64)
        }
    }

    fn stream(contents: &[u8]) -> (Stream, Memory) {
        let memory = Memory::default();
        memory.0.borrow_mut().bytes = contents.to_vec();
        (Stream::new(Box::new(memory.clone()), true), memory)
    }

    #[test]
    fn written_bytes_wait_for_their_buffering() {
        let (mut s, memory) = stream(b"");
        s.write(b"ab\n").unwrap();
        assert_eq!(memory.0.borrow().bytes, b"");
        s.set_buffering(Buffering::Line, 0).unwrap();
        assert_eq!(memory.0.borrow().bytes, b"ab\n");
        s.write(b"c").unwrap();
        assert_eq!(memory.0.borrow().bytes, b"ab\n");
        s.write(b"d\ne").unwrap();
        assert_eq!(memory.0.borrow().bytes, b"ab\ncd\ne");
        s.set_buffering(Buffering::None, 0).unwrap();
        s.write(b"f").unwrap();
        assert_eq!(memory.0.borrow().bytes, b"ab\ncd\nef");
    }

    #[test]
    fn a_full_buffer_is_written_and_long_writes_pass_it() {
        let (mut s, memory) = stream(b"");
        s.set_buffering(Buffering::Full, 4).unwrap();
        for part in [&b"ab"[..], b"c", b"de", b"fghijk"] {
            s.write(part).unwrap();
        }
        assert_eq!(memory.0.borrow().calls, [3, 2, 6]);
        assert_eq!(memory.0.borrow().bytes, b"abcdefghijk");
    }

    #[test]
    fn writing_after_reading_happens_where_reading_stopped() {
        let (mut s, memory) = stream(b"hello world");
        assert_eq!(s.fill().unwrap(), b"hello world");
        s.consume(6);
        assert_eq!(s.seek(SeekFrom::Current(0)).unwrap(), 6);
        s.write(b"W").unwrap();
        assert_eq!(s.fill().unwrap(), b"orld");
        assert_eq!(memory.0.borrow().bytes, b"hello World");
    }

    #[test]
    fn positions_count_from_the_first_unread_byte() {
        let (mut s, _) = stream(b"0123456789");
        s.fill().unwrap();
        s.consume(4);
        assert_eq!(s.seek(SeekFrom::Current(2)).unwrap(), 6);
        assert_eq!(s.fill().unwrap(), b"6789");
        assert!(s.seek(SeekFrom::Current(-7)).is_err());
        assert_eq!(s.fill().unwrap(), b"6789");
        assert_eq!(s.seek(SeekFrom::End(-1)).unwrap(), 9);
        assert_eq!(s.fill().unwrap(), b"9");
    }

    #[test]
    fn long_reads_do_not_pass_through_the_buffer() {
        let (mut s, memory) = stream(&vec![b'x'; 20_000]);
        let mut out = Vec::new();
        assert_eq!(s.read(&mut out, 3).unwrap(), 3);
        assert_eq!(s.read(&mut out, 100_000).unwrap(), DEFAULT_CAPACITY - 3);
        assert_eq!(s.read(&mut out, 100_000).unwrap(), 20_000 - DEFAULT_CAPACITY);
        assert_eq!(s.read(&mut out, 100_000).unwrap(), 0);
        assert_eq!(out.len(), 20_000);
        assert_eq!(memory.0.borrow().calls, [DEFAULT_CAPACITY, 20_000 - DEFAULT_CAPACITY, 0]);
    }

    #[test]
    fn pieces_of_long_reads_grow() {
        let (mut s, memory) = stream(&vec![b'x'; 100_000]);
        let mut out = Vec::new();
        while s.read(&mut out, usize::MAX).unwrap() > 0 {}
        assert_eq!(out.len(), 100_000);
        let calls = &memory.0.borrow().calls;
        assert_eq!(calls[..3], [DEFAULT_CAPACITY, 2 * DEFAULT_CAPACITY, 6 * DEFAULT_CAPACITY]);
    }

    #[test]
    fn bytes_that_cannot_be_written_fail_once() {
        let (mut s, memory) = stream(b"");
        memory.0.borrow_mut().is_full = true;
        s.write(b"x").unwrap();
        assert_eq!(s.flush().unwrap_err().code, 28);
        assert_eq!(s.close(), Ok(Closed::File));
    }

    #[test]
    fn what_failed_unseen_is_told_to_the_next_who_asks_and_only_once() {
        let (mut s, memory) = stream(b"");
        memory.0.borrow_mut().is_full = true;
        s.write(b"x").unwrap();
        s.flush_and_remember();
        s.flush_and_remember();
        memory.0.borrow_mut().is_full = false;
        // What only waits in the buffer cannot fail.
        s.write(b"y").unwrap();
        assert_eq!(s.flush().unwrap_err().code, 28);
        assert_eq!(memory.0.borrow().bytes, b"y");
        assert_eq!(s.flush(), Ok(()));
        memory.0.borrow_mut().is_full = true;
        s.write(b"x").unwrap();
        s.flush_and_remember();
        assert_eq!(s.close().unwrap_err().code, 28);
    }

    #[test]
    fn closing_writes_what_waits_and_fails_if_it_cannot() {
        let (mut s, memory) = stream(b"");
        memory.0.borrow_mut().is_full = true;
        s.write(b"x").unwrap();
        assert_eq!(s.close().unwrap_err().code, 28);
    }

    #[test]
    fn a_dropped_stream_writes_its_buffer() {
        let (mut s, memory) = stream(b"");
        s.write(b"x").unwrap();
        drop(s);
        assert_eq!(memory.0.borrow().bytes, b"x");
    }
}
