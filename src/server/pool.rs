//! The threads that answer requests, each with the state that the session was in when it was asked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};
use lsp_server::{Request, RequestId, Response};

use super::STACK;
use super::dispatch::Refused;
use super::snapshot::Snapshot;
use crate::database::unless_changed;

/// How many requests are answered at a time.
const THREADS: usize = 2;

/// What answers a request.
pub type Handler = fn(&Snapshot, serde_json::Value) -> Result<serde_json::Value, Refused>;

/// A request to answer.
pub struct Question {
    /// It.
    pub request: Request,
    /// What answers it.
    pub handler: Handler,
    /// The state that it is about.
    pub snapshot: Snapshot,
}

/// What became of a request.
pub enum Answer {
    /// This.
    Given(Response),
    /// The texts changed under it: it is to be asked again.
    Again(Request),
}

impl Answer {
    /// Of which request.
    pub fn id(&self) -> &RequestId {
        match self {
            Self::Given(response) => &response.id,
            Self::Again(request) => &request.id,
        }
    }
}

/// Starts the threads. They end when nobody can ask any more.
pub fn start() -> std::io::Result<(Sender<Question>, Receiver<Answer>)> {
    let (ask, questions) = unbounded::<Question>();
    let (tell, answers) = unbounded();
    for number in 0..THREADS {
        let (questions, tell) = (questions.clone(), tell.clone());
        let work = move || {
            for question in questions {
                // A session that has ended wants to know nothing more.
                let _ = tell.send(answer(question));
            }
        };
        thread::Builder::new().name(format!("fwc requests {number}")).stack_size(STACK).spawn(work)?;
    }
    Ok((ask, answers))
}

fn answer(question: Question) -> Answer {
    let Question { request, handler, snapshot } = question;
    let parameters = request.params.clone();
    let work = || unless_changed(|| handler(&snapshot, parameters));
    let result = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Some(result)) => result,
        Ok(None) => return Answer::Again(request),
        Err(_) => Err(Refused::fault()),
    };
    Answer::Given(match result {
        Ok(value) => Response::new_ok(request.id, value),
        Err(refused) => refused.response(request.id),
    })
}
