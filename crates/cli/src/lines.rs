//! Where the interactive mode gets its lines from: an editor with history on a terminal, the standard input otherwise.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::session::Session;

/// The file in the home directory that keeps the history.
const HISTORY: &str = ".perilune_history";

/// What came of asking for a line.
pub enum Line {
    /// A line, without its end.
    Text(Vec<u8>),
    /// The user has given up what was typed so far (Ctrl-C).
    Abandoned,
    /// There are no more.
    End,
}

/// A source of lines.
pub enum Lines {
    /// A terminal.
    Editor {
        /// The editor.
        editor: Box<DefaultEditor>,
        /// Where the history is kept, if there is a place.
        history: Option<PathBuf>,
    },
    /// Anything else: lines are read as they come.
    Input,
}

impl Lines {
    /// The editor, if the process talks to a terminal.
    ///
    /// It takes the interrupt signal for itself; what else wants to hear of it must be installed after it.
    pub fn new() -> Lines {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Lines::Input;
        }
        let Ok(mut editor) = DefaultEditor::new() else { return Lines::Input };
        let history = std::env::home_dir().map(|home| home.join(HISTORY));
        if let Some(file) = &history {
            // There is none before the first session.
            let _ = editor.load_history(file);
        }
        Lines::Editor { editor: Box::new(editor), history }
    }

    /// Shows a prompt and reads a line.
    pub fn read(&mut self, session: &mut Session, prompt: &[u8]) -> Line {
        match self {
            Lines::Input => {
                session.write(prompt);
                session.read_line().map_or(Line::End, Line::Text)
            }
            Lines::Editor { editor, .. } => {
                session.flush();
                match editor.readline(&String::from_utf8_lossy(prompt)) {
                    Ok(line) => Line::Text(line.into_bytes()),
                    Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => Line::Abandoned,
                    // A terminal that cannot be read has ended.
                    Err(_) => Line::End,
                }
            }
        }
    }

    /// Remembers what was typed, of however many lines.
    pub fn remember(&mut self, source: &[u8]) {
        if let Lines::Editor { editor, .. } = self {
            // A history that is full forgets something else.
            let _ = editor.add_history_entry(String::from_utf8_lossy(source));
        }
    }

    /// Ends the mode: keeps the history, or, where nobody typed, ends the line of the last prompt.
    pub fn finish(mut self, session: &mut Session) {
        match &mut self {
            Lines::Input => session.write(b"\n"),
            Lines::Editor { editor, history } => {
                if let Some(file) = history {
                    // Nobody waits for this any more.
                    let _ = editor.save_history(file);
                }
            }
        }
    }
}
