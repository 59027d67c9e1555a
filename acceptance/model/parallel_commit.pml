/*
 * Parallel commit: one transaction of two writes on two ranges, its record on
 * a third, and two readers that recover it whenever they meet it staging.
 * Package txn (doc.go) tells the protocol; the names below are its names.
 *
 *   spin -a parallel_commit.pml && cc -O2 -o pan pan.c && ./pan -m100000
 *
 * Checked: I1 (what the user is told holds, for ever) and I2 (an implicit
 * commit has all its writes). With -DBUG_RESEND_WITH_WRITES the second attempt
 * sends writes and staging record together, and with -DBUG_NO_PREVENTION recovery
 * does not prevent what it misses; spin must find both wrong:
 *
 *   spin -DBUG_RESEND_WITH_WRITES -a parallel_commit.pml && ...   (an error)
 *   spin -DBUG_NO_PREVENTION -a parallel_commit.pml && ...        (an error)
 *
 * Left out: epochs, pushes of the record, one phase, lost answers.
 */

#define KEYS 2

mtype = { none, staging, committed, aborted };   /* the record */
mtype = { asking, toldCommitted, toldError };    /* the user */

mtype record = none;
byte recordTS = 0;
byte intent[KEYS];      /* timestamp of the intent, 0 for none */
byte value[KEYS];       /* timestamp of the committed value, 0 for none */
byte readTS[KEYS];      /* timestamp cache: nothing is written at or below */

mtype user = asking;
byte answered = 0;      /* requests of the attempt under way that ended */
bool refused = false;   /* some write was refused: it left no intent */
byte highest = 0;       /* highest timestamp a write was given */
bool endFailed = false; /* the record was already ended as aborted */

inline max(a, b) { if :: a < b -> a = b :: else fi }

/* The end of the record, with the resolution of intents, in one step: that
 * is what any later reader sees. */
inline finish(status) {
  record = status;
  k0 = 0;
  do
  :: k0 < KEYS ->
     if :: status == committed && intent[k0] != 0 -> value[k0] = recordTS
        :: else
     fi;
     intent[k0] = 0; k0++
  :: else -> break
  od
}

/* A write is evaluated: above what was read and prevented. It is refused if a
 * newer value is there (WriteTooOld), or, in a first attempt, for some reason
 * of its own that a refresh mends. An intent of an earlier attempt makes it a
 * replay. */
proctype Write(byte k; byte at; bool first) {
  atomic {
    if
    :: value[k] >= at || value[k] != 0 -> refused = true
    :: first && value[k] == 0 -> refused = true
    :: value[k] == 0 ->
       if :: intent[k] != 0 -> max(highest, intent[k])
          :: else ->
             intent[k] = at;
             if :: readTS[k] >= at -> intent[k] = readTS[k] + 1 :: else fi;
             max(highest, intent[k])
       fi
    fi;
    answered++
  }
}

/* The commit: staging with the promise of both writes, or explicit. */
proctype End(byte at; mtype how) {
  byte k0;
  atomic {
    if
    :: record == aborted -> endFailed = true
    :: record == committed -> skip
    :: else ->
       assert(!(record == staging && how == staging && recordTS == at)); /* I3 */
       recordTS = at;
       record = how;
       if :: how == committed -> finish(committed) :: else fi
    fi;
    answered++
  }
}

active proctype Coordinator() {
  byte at = 1;
  byte k0;
  atomic {
    run Write(0, at, true); run Write(1, at, true); run End(at, staging)
  }
  answered == 3;
  if
  :: endFailed -> goto failed
  :: !refused && highest <= at -> goto implicit
  :: else
  fi;
  /* Refresh: it may fail, and then the user is told so. */
  if :: goto failed :: skip fi;
  at = at + 1;
  atomic {
    max(at, highest);
    answered = 0
  }
#ifdef BUG_RESEND_WITH_WRITES
  atomic {
    refused = false; highest = 0;
    run Write(0, at, false); run Write(1, at, false); run End(at, staging)
  }
  answered == 3;
  if
  :: endFailed || refused || highest > at -> goto failed
  :: else -> goto implicit
  fi;
#else
  if
  :: refused ->
     atomic { refused = false; run Write(0, at, false); run Write(1, at, false) }
     answered == 2;
     atomic { max(at, highest); answered = 0 };
     if :: refused -> goto failed :: else fi
  :: else
  fi;
  run End(at, committed);
  answered == 1;
  if :: endFailed -> goto failed :: else fi;
  atomic { assert(record == committed); user = toldCommitted };
  goto done;
#endif
implicit:
  atomic {
    /* I2: committed at this moment, whoever made it explicit meanwhile. */
    assert(record == committed ||
           (record == staging && intent[0] != 0 && intent[0] <= recordTS &&
                                 intent[1] != 0 && intent[1] <= recordTS));
    user = toldCommitted
  }
  goto done;
failed:
  atomic {
    assert(record != committed);  /* I1 */
    user = toldError
  };
done:
  skip
}

/* A reader meets the staging record at any moment, or never. */
active [2] proctype Recoverer() {
  byte seen, k, k0;
  bool all = true;
again:
  atomic { record == staging -> seen = recordTS };
  k = 0; all = true;
  do
  :: k < KEYS ->
     atomic {
       if
       :: intent[k] != 0 && intent[k] <= seen -> skip
       :: else ->
          all = false;
#ifndef BUG_NO_PREVENTION
          max(readTS[k], seen)
#endif
       fi;
       k++
     }
  :: else -> break
  od;
  atomic {
    if
    :: record == staging && recordTS == seen ->
       if :: all -> finish(committed)
          :: else -> finish(aborted)
       fi
    :: record == committed || record == aborted -> skip
    :: else -> goto again
    fi
  }
}

/* I1: once told, it holds for ever. */
never {
  do
  :: (user == toldCommitted && record == aborted) || (user == toldError && record == committed) -> break
  :: else
  od
}
