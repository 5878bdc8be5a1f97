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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lsp_server::ErrorCode;
    use serde_json::{Value, json};

    use super::*;
    use crate::server::client::Client;
    use crate::server::pages::Pages;

    fn question(id: i32, handler: Handler) -> Question {
        let client = Arc::new(Client::new(&json!({}), Pages::default()));
        let snapshot = Snapshot { views: Vec::new(), documents: Arc::default(), client };
        Question { request: Request::new(id.into(), "test".to_owned(), json!({ "asked": id })), handler, snapshot }
    }

    fn code(answer: Answer) -> (RequestId, Result<Value, i32>) {
        match answer {
            Answer::Given(response) => (response.id, response.response_result.map_err(|error| error.code)),
            Answer::Again(request) => panic!("{request:?}"),
        }
    }

    #[test]
    fn a_fault_costs_one_answer_and_no_thread() {
        let (ask, answers) = start().expect("threads");
        // More of them than there are threads.
        let faults = 3 * i32::try_from(THREADS).expect("few");
        for id in 0..faults {
            ask.send(question(id, |_, _| panic!("a fault, made for this test"))).expect("sent");
        }
        ask.send(question(faults, |_, _| Err(Refused::said("no".to_owned())))).expect("sent");
        ask.send(question(faults + 1, |_, asked| Ok(asked))).expect("sent");
        let mut told: Vec<_> = (0..faults + 2).map(|_| code(answers.recv().expect("an answer"))).collect();
        told.sort_by_key(|(id, _)| id.to_string().parse::<i32>().expect("a number"));
        let fault = Err(ErrorCode::InternalError as i32);
        assert!(told.iter().take(3 * THREADS).all(|(_, result)| *result == fault), "{told:?}");
        let refused = Err(ErrorCode::RequestFailed as i32);
        assert_eq!(
            told.iter().skip(3 * THREADS).map(|(_, result)| result.clone()).collect::<Vec<_>>(),
            [refused, Ok(json!({ "asked": faults + 1 }))]
        );
    }

    #[test]
    fn the_threads_end_when_nobody_asks() {
        let (ask, answers) = start().expect("threads");
        drop(ask);
        assert!(answers.recv().is_err());
    }
}
