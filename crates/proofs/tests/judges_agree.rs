//! The checker of histories agrees with `stateright`'s tester on small random histories, valid and invalid ones, with
//! operations that never returned.
#![expect(clippy::print_stdout, reason = "the counts are part of the evidence")]

use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};
use tokenkeep_proofs::Dice;
use tokenkeep_proofs::accounts::Accounts;
use tokenkeep_proofs::history::{Call, Op, Outcome, Thread};
use tokenkeep_proofs::linear::{Verdict, after, judge};

const THREADS: usize = 4;

/// The specification in `stateright`'s form.
#[derive(Clone, Debug, Default)]
struct Cache(Accounts);

impl SequentialSpec for Cache {
    type Op = Op;
    type Ret = Outcome;

    fn invoke(&mut self, op: &Op) -> Outcome {
        let old = self.0.clone();
        self.0 = after(op, &old, None).unwrap_or_else(|| old.clone());
        match op {
            Op::Read => Outcome::Saw(old),
            _ if after(op, &old, Some(&Outcome::Conflict(old.clone()))).is_some() => Outcome::Conflict(old),
            _ => Outcome::Changed(old, self.0.clone()),
        }
    }

    fn is_valid_step(&mut self, op: &Op, outcome: &Outcome) -> bool {
        after(op, &self.0, Some(outcome)).map(|next| self.0 = next).is_some()
    }
}

/// Returns a history that happened or, if `spoiled`, one in which an operation reports another moment than its own.
fn history(dice: &mut Dice, spoiled: bool) -> Vec<Thread> {
    let mut cache = Cache::default();
    let mut moments = vec![Accounts::new()];
    let mut threads = vec![Thread::new(); THREADS];
    let mut ends: Vec<Option<Outcome>> = vec![None; THREADS];
    for time in 0..24 {
        let at = dice.index(THREADS);
        match threads[at].last_mut().filter(|call| call.returned.is_none()) {
            None => threads[at].push(Call { op: choose(dice, &moments), called: time, returned: None }),
            Some(call) if ends[at].is_none() => {
                ends[at] = Some(cache.invoke(&call.op));
                moments.push(cache.0.clone());
            }
            Some(call) => call.returned = ends[at].take().map(|outcome| (time, outcome)),
        }
    }
    if spoiled {
        let moment = pick(dice, &moments);
        let returned: Vec<_> =
            threads.iter_mut().flatten().filter_map(|call| call.returned.as_mut()).collect();
        let which = dice.index(returned.len());
        if let Some((_, outcome)) = returned.into_iter().nth(which) {
            match outcome {
                Outcome::Saw(old) | Outcome::Conflict(old) | Outcome::Changed(old, _) => *old = moment,
                Outcome::GaveUp | Outcome::Failed(_) => {}
            }
        }
    }
    threads
}

fn choose(dice: &mut Dice, moments: &[Accounts]) -> Op {
    let account = u8::from(dice.once_in(2));
    // Few tokens, so that different orders lead to the same state.
    let token = if dice.once_in(3) { None } else { Some(1 + dice.below(2)) };
    match dice.below(8) {
        0..3 => Op::Read,
        3..5 => Op::Set(account, token),
        5..7 => Op::Merge(pick(dice, moments), account, token),
        _ => Op::Delete,
    }
}

fn pick(dice: &mut Dice, moments: &[Accounts]) -> Accounts {
    moments[dice.index(moments.len())].clone()
}

fn stateright_accepts(threads: &[Thread]) -> bool {
    let mut events = Vec::new();
    for (thread, calls) in threads.iter().enumerate() {
        for call in calls {
            events.push((call.called, thread, None, &call.op));
            if let Some((time, outcome)) = &call.returned {
                events.push((*time, thread, Some(outcome.clone()), &call.op));
            }
        }
    }
    events.sort_by_key(|event| event.0);
    let mut tester = LinearizabilityTester::new(Cache::default());
    for (_, thread, outcome, op) in events {
        let told = match outcome {
            None => tester.on_invoke(thread, op.clone()),
            Some(outcome) => tester.on_return(thread, outcome),
        };
        told.expect("every thread does one thing at a time");
    }
    tester.is_consistent()
}

#[test]
fn both_judges_agree_on_small_histories() {
    let mut dice = Dice::new(1);
    let (mut right, mut wrong) = (0, 0);
    for number in 0..4000 {
        let spoiled = number % 2 == 1;
        let threads = history(&mut dice, spoiled);
        let accepts = stateright_accepts(&threads);
        match judge(&threads) {
            Verdict::Linearizable => assert!(accepts, "history {number}: {threads:#?}"),
            Verdict::Broken(story) => {
                assert!(!accepts, "history {number}: {story}: {threads:#?}");
                assert!(spoiled, "history {number} happened: {story}");
                wrong += 1;
            }
            Verdict::Undecided => panic!("history {number} is small enough to be decided"),
        }
        right += u32::from(accepts);
    }
    println!("{right} histories are linearizable and {wrong} are not, says each of the two");
    assert!(wrong > 500, "{wrong} wrong histories are too few to tell");
}
