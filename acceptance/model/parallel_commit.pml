/*
 * Parallel commit: one transaction of two writes on two ranges, its record on
 * a third, and a reader that recovers it whenever it meets it staging. Package
 * txn (doc.go, ambiguity.go) tells the protocol; the names below are its names.
 *
 *   spin -a parallel_commit.pml && cc -O2 -DSAFETY -o pan pan.c && ./pan -m1000000
 *
 * Any request may be evaluated late, its answer may be lost, and then it is
 * sent again; writes are pushed by reads at other timestamps; a record whose
 * intents are resolved is removed and leaves a mark.
 *
 * Checked, in every order of steps:
 *
 *   I1  What the user is told holds, for ever.
 *   I2  An implicit commit has all its writes at or below its timestamp.
 *
 * I3 is how the coordinator below behaves: the promise of a timestamp never
 * changes, and no batch has both writes and the commit after an attempt that
 * may have had effects. The first mistake shows why.
 *
 * The mistakes to switch on:
 *
 *   BUG_RESEND_WITH_WRITES  after a refresh, writes and commit go together
 *   BUG_NO_PREVENTION       recovery does not keep what it misses from appearing
 *   BUG_BLIND_RETRY         an error of the second sending counts as if the
 *                           first had never been evaluated
 *   BUG_ABSENCE_IS_ABORT    a record that is not there counts as aborted
 *   BUG_PUSH_IGNORED        a write above the staging timestamp counts as in place
 *
 * Left out: epochs (a restart is a new attempt with another promise, as the
 * second one here is), pushes of the record, one phase, more than one lost
 * answer.
 */

#define KEYS 2

mtype = { none, staging, committed, aborted };      /* the record */
mtype = { asking, toldCommitted, toldError, toldAmbiguous }; /* the user */
mtype = { nothing, aWrite, theEnd, everything };    /* what answers are lost */

mtype record = none;
bit mark = 0;           /* the record was removed: it is not made again */
byte recordTS = 0;
byte intent[KEYS];      /* timestamp of the intent, 0 for none */
byte value[KEYS];       /* timestamp of the committed value, 0 for none */
byte readTS[KEYS];      /* timestamp cache: nothing is written at or below */
bit everCommitted = 0, everAborted = 0; /* what became of the record, for the claim */

mtype user = asking;
mtype lost = nothing;
byte answered = 0;      /* requests of the attempt under way that ended */
bool refused = false;   /* some write was refused: it left no intent */
byte highest = 0;       /* highest timestamp a write was given */
bool endFailed = false; /* the record was already ended as aborted */
bool endDone = false;   /* the record is committed already */
bool ambiguous = false; /* an error that may hide a success */

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
  od;
  k0 = 0;
  if :: status == committed -> everCommitted = 1 :: else -> everAborted = 1 fi
}

/* A write is evaluated: above what was read and prevented. It is refused if a
 * newer value is there (WriteTooOld), or, in a first attempt, for some reason
 * of its own that a refresh mends. An intent of an earlier attempt makes it a
 * replay. heard: the answer reaches the coordinator. again: it is the second
 * sending. */
proctype Write(byte k; byte at; bool first; bool heard; bool again) {
  bool fails = false;
  atomic {
    if
    :: value[k] != 0 -> fails = true
    :: first && value[k] == 0 -> fails = true
    :: value[k] == 0 ->
       if :: intent[k] != 0 -> skip
          :: else ->
             intent[k] = at;
             if :: readTS[k] >= at -> intent[k] = readTS[k] + 1 :: else fi
       fi;
       if :: heard -> max(highest, intent[k]) :: else fi
    fi;
    if
    :: fails && heard ->
#ifndef BUG_BLIND_RETRY
       if :: again -> ambiguous = true :: else -> refused = true fi
#else
       refused = true
#endif
    :: else
    fi;
    if :: heard -> answered++ :: else fi
  }
}

/* The commit: staging with the promise of both writes, or explicit. */
proctype End(byte at; mtype how; bool heard; bool again) {
  byte k0;
  bool done = false, failed = false;
  atomic {
    if
    :: record == aborted || (record == none && mark) -> failed = true
    :: record == committed -> done = true
    :: else ->
       if
       :: record == staging && recordTS > at -> skip /* overtaken by a later attempt */
       :: else ->
          recordTS = at;
          record = how;
          if :: how == committed -> finish(committed) :: else fi
       fi
    fi;
    if
    :: !heard -> skip
    :: heard && failed && record == none ->
#ifndef BUG_BLIND_RETRY
       if :: again -> ambiguous = true :: else -> endFailed = true fi
#else
       endFailed = true
#endif
    :: heard && failed && record != none -> endFailed = true
    :: heard && !failed -> endDone = endDone || done
    fi;
    if :: heard -> answered++ :: else fi
  }
}

/* Recovery of a record that was seen staging at seen. It looks for every write
 * and prevents what is missing. */
inline look(seen, k, all) {
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
  k = 0
}

active proctype Coordinator() {
  byte at = 1, k0, k, seen;
  bool all;
  atomic {
    if :: lost = nothing :: lost = aWrite :: lost = theEnd :: lost = everything fi;
    run Write(0, at, true, lost != aWrite && lost != everything, false);
    run Write(1, at, true, lost != everything, false);
    run End(at, staging, lost != theEnd && lost != everything, false);
    if
    :: lost == aWrite -> run Write(0, at, false, true, true)
    :: lost == theEnd -> run End(at, staging, true, true)
    :: lost == everything -> goto settle
    :: else
    fi
  }
  answered == 3;
  if
  :: ambiguous -> goto settle
  :: !ambiguous && endDone -> goto isCommitted
  :: !ambiguous && !endDone && endFailed -> goto failed
#ifdef BUG_PUSH_IGNORED
  :: !ambiguous && !endDone && !endFailed && !refused -> goto implicit
#else
  :: !ambiguous && !endDone && !endFailed && !refused && highest <= at -> goto implicit
#endif
  :: else
  fi;
  /* Refresh: it may fail, and then the user is told so. A write that was
   * refused is not there; one that was pushed is, above the timestamp. */
  if :: goto failed :: skip fi;
  at = at + 1;
  atomic {
    max(at, highest);
    answered = 0; lost = nothing
  }
#ifdef BUG_RESEND_WITH_WRITES
  atomic {
    refused = false; highest = 0;
    run Write(0, at, false, true, false); run Write(1, at, false, true, false); run End(at, staging, true, false)
  }
  answered == 3;
  if
  :: endDone -> goto isCommitted
  :: !endDone && (endFailed || refused || highest > at) -> goto failed
  :: else -> goto implicit
  fi;
#else
  if
  :: refused ->
     atomic { refused = false; run Write(0, at, false, true, false); run Write(1, at, false, true, false) }
     answered == 2;
     atomic { max(at, highest); answered = 0 };
     if :: refused -> goto failed :: else fi
  :: else
  fi;
  /* The commit alone. Its answer may be lost, too. */
  atomic {
    endDone = false;
    if
    :: run End(at, committed, true, false)
    :: run End(at, committed, false, false); run End(at, committed, true, true)
    fi
  }
  answered == 1;
  if
  :: ambiguous -> goto settle
  :: !ambiguous && endFailed -> goto failed
  :: else -> goto isCommitted
  fi;
#endif

settle: /* committer.settle: find out what became of it */
  atomic {
    if
    :: record == committed -> goto isCommitted
    :: record == aborted -> goto failed
    :: record == none ->
#ifdef BUG_ABSENCE_IS_ABORT
       goto failed
#else
       user = toldAmbiguous; goto done
#endif
    :: record == staging -> seen = recordTS
    fi
  }
  look(seen, k, all);
  atomic {
    if
    :: record == staging && recordTS == seen ->
       if :: all -> finish(committed); goto isCommitted
          :: else -> finish(aborted); goto failed
       fi
    :: record == committed -> goto isCommitted
    :: record == aborted -> goto failed
    :: else -> user = toldAmbiguous; goto done
    fi
  }
isCommitted:
  atomic { assert(everCommitted); user = toldCommitted } /* I1 */
  goto done;
implicit:
  atomic {
    /* I2: committed at this moment, whoever made it explicit meanwhile. */
    assert(everCommitted ||
           (record == staging && intent[0] != 0 && intent[0] <= recordTS &&
                                 intent[1] != 0 && intent[1] <= recordTS));
    user = toldCommitted
  }
  goto done;
failed:
  atomic {
    assert(!everCommitted);  /* I1 */
    user = toldError
  };
done:
  skip
}

/* A reader meets the staging record at any moment, or never. */
active proctype Recoverer() {
  byte seen, k, k0;
  bool all = true;
again:
end:
  atomic { record == staging -> seen = recordTS };
  look(seen, k, all);
  atomic {
    if
    :: record == staging && recordTS == seen ->
       if :: all -> finish(committed)
          :: else -> finish(aborted)
       fi
    :: else
    fi;
    seen = 0; all = true
  }
  if :: record == staging -> goto again :: else fi
}

/* Others read, and remove a record when its intents are resolved. */
active proctype Others() {
end:
  do
  :: atomic { readTS[0] == 0 -> readTS[0] = 1 }
  :: atomic { readTS[1] == 0 -> readTS[1] = 2 }
  :: atomic { record == committed || record == aborted -> record = none; recordTS = 0; mark = 1 }
  od
}

/* I1: once told, it holds for ever. */
never {
  do
  :: (user == toldCommitted && everAborted) || (user == toldError && everCommitted) || (everCommitted && everAborted) -> break
  :: else
  od
}
