/*
 * Leader leases over store liveness: how power passes from the leader of one
 * term to that of the next. Three nodes, one range. Node 0 leads term 1 and is
 * leaseholder for as long as a quorum holds it up; then 0 or 1 leads term 2.
 *
 *   0 ── "support me at epoch e until x" ──▶ 1, 2
 *   0 ── "I lead term 1" ──▶ b promises its vote while it supports epoch e
 *   lease of 0 = up to lead_support_until: what the best quorum of promises,
 *                its own and one more, is good for
 *
 *   spin -a leader_lease.pml && cc -O2 -DSAFETY -o pan pan.c && ./pan -m1000000
 *
 * Checked, in every order of steps and with clocks that differ by up to
 * MAX_OFFSET:
 *
 *   L1  At most one replica finds the lease valid for an MVCC timestamp: the
 *       lease of term 2 starts at or above the end of that of term 1.
 *   L2  Nothing is written at or below a timestamp at which somebody has
 *       read: the new leader's floor covers its predecessor's reads.
 *   L3  Who reads sees every write acknowledged before (single keys are
 *       linear), though the clock that drew the read timestamp is slow.
 *   L4  Once a transfer has begun, the lease of that term is dead, also when
 *       the transfer fails and its message arrives late.
 *
 * One change of power is enough: what the leader of term 2 needs from the past
 * is that it lies below its start and floor, and that is what is checked. Its
 * own lease counts as without end.
 *
 * A message is a step of two nodes, and carries the sender's clock where it is
 * said so. A late request would grant less, and a late answer would be used
 * less, than one that takes no time; so both are covered by steps that happen
 * or do not. A late MsgTimeoutNow is not, and stays in flight for ever.
 * Elections and the log are taken from Raft: a quorum's votes, the newest log;
 * an entry is appended at the leader and one follower at once.
 *
 * Two things that the model taught. Time alone is no embargo: a node that
 * restarts has forgotten its promises while leaders still count on them, and on
 * the support that it goes on giving; so it counts as having promised every
 * vote under each epoch that it supports, until it withdraws
 * (BUG_EMBARGO_BY_TIME waits for the highest support granted before the crash).
 * And a leader need not promise its own vote: it has read nothing above its
 * clock, which its vote carries. So it may have the votes of those who promised it
 * theirs, too: it has left the term that they hold up.
 *
 * A node that is bound by what it promised, or may have, asks whether there is a
 * leader to keep it for; one that leads no more says so, and for ever. Without
 * that, a restarted node with the newest log might wait for ever for one that
 * lives and leads nothing. Each pair of nodes has epochs of its own.
 *
 * Left out: joint configurations (the best quorum of both halves) and nodes
 * that lose their disks.
 */

#define N 3
#define MAX_OFFSET 1
#ifdef BUG_CLOCK_BEYOND_OFFSET
#define SKEW (MAX_OFFSET + 1)
#else
#define SKEW MAX_OFFSET
#endif
#define SUPPORT 3       /* how long support is asked for */
#ifndef TIME_MAX
#define TIME_MAX 4
#endif
#define EPOCH_MAX 2
#ifndef RESTARTS_MAX
#define RESTARTS_MAX 1
#endif

#define MAX(a, b) ((a) > (b) -> (a) : (b))
#define MIN3(a, b, c) ((a) < (b) -> ((a) < (c) -> (a) : (c)) : ((b) < (c) -> (b) : (c)))

/* Of each node. The clock counts as durable, for a node that starts waits for
 * its persisted bound. A vote moves to its term, so the vote need not be told. */
byte clock[N] = 1;
bit voted[N];            /* it is in term 2. Durable */
#ifdef BUG_EMBARGO_BY_TIME
byte embargo[N];         /* it neither votes nor campaigns before */
#endif
bit campaigns[N];
byte known[N];           /* epoch that it supported when it restarted: it may have promised
                          * its vote under it, and keeps that until it withdraws */

/* Store liveness: node 0's epoch for each peer, and what the peer grants it. Durable. */
byte epoch[N] = 1;
byte support_epoch[N];
byte support_until[N];
bit withdrawn[N];        /* support_epoch is recorded as dead */

/* Term 1. */
bit old_leads = 1;
bit given_up;            /* a transfer was begun */
bit timeout_now;         /* MsgTimeoutNow is in flight to 1, from then on */
byte handover;           /* what it carries: the highest timestamp read at */
byte promised[N];        /* epoch at which b promised its vote. Lost in a crash */
byte acknowledged[N];    /* the same, as node 0 knows it */

/* Term 2. */
bit new_leads[N];
bit forced;              /* 1 campaigns, or has won, by the transfer */
bit applied_own;         /* an entry of term 2 has applied */
byte start, floor_at;

byte restarts;
byte log_end[N];         /* 1: has the write of term 1, 2: that of term 2 */
byte acked;              /* the newest write acknowledged */
byte read_max;           /* the highest timestamp read at in term 1 */

/* b's part in the lease of term 1. */
#ifdef BUG_EPOCH_NOT_COMPARED
#define holds_up(b) (acknowledged[b] != 0 -> support_until[b] : 0)
#else
#define holds_up(b) (acknowledged[b] == epoch[b] && support_epoch[b] == epoch[b] -> support_until[b] : 0)
#endif
#define lead_support_until MAX(holds_up(1), holds_up(2))
#define usable (old_leads && !given_up)

#define supports(b) (support_epoch[b] == epoch[b] && !withdrawn[b])
#define supports_still(b, e) (e != 0 && support_epoch[b] == e && !withdrawn[b])
#define keeps_promise(b) (supports_still(b, promised[b]) || supports_still(b, known[b]))

/* Who neither votes nor campaigns. */
#ifdef BUG_EMBARGO_BY_TIME
#define bound(b) (keeps_promise(b) || clock[b] < embargo[b])
#else
#define bound(b) keeps_promise(b)
#endif

#define check_L1 assert(!(usable && applied_own) || lead_support_until <= start)

/* A node leaves term 1. */
inline leave_term(b) {
  if
  :: b == 0 -> old_leads = 0; acknowledged[1] = 0; acknowledged[2] = 0
  :: else
  fi;
  promised[b] = 0; known[b] = 0;
  voted[b] = 1
}

#define forward(a, to) clock[a] = MAX(clock[a], to)

#ifdef BUG_UNCERTAINTY_PAST_LEASE
#define may_read(ts) (usable && (ts) < lead_support_until)
#else
#define may_read(ts) (usable && (ts) + MAX_OFFSET < lead_support_until)
#endif
/* A read at the leader of term 1. */
inline read(ts) {
  forward(0, ts);
  assert(log_end[0] == acked); /* L3 */
  read_max = MAX(read_max, ts)
}

/* What a node does by itself. */
proctype Node(byte a) {
end:
  do
  :: atomic { clock[a] < TIME_MAX && clock[a] < MIN3(clock[0], clock[1], clock[2]) + SKEW ->
       forward(a, clock[a] + 1)
     }
  :: atomic { /* Campaign. Node 2, which is as 1, only votes. */
       a != 2 && !voted[a] && !bound(a) -> leave_term(a); campaigns[a] = 1
     }
  :: atomic { /* MsgTimeoutNow arrives: campaign in spite of promises. */
       a == 1 && timeout_now && !voted[1] -> leave_term(1); campaigns[1] = 1; forced = 1
     }
  :: atomic { /* Crash and restart: only what is durable is left. */
       restarts < RESTARTS_MAX ->
       restarts++;
       old_leads = (a != 0 && old_leads);
       promised[a] = 0; campaigns[a] = 0; new_leads[a] = 0;
#ifdef BUG_EMBARGO_BY_TIME
       embargo[a] = support_until[a];
#else
#ifndef BUG_RESTART_WITHOUT_EMBARGO
       known[a] = support_epoch[a];
#endif
#endif
#ifdef BUG_WITHDRAWAL_NOT_DURABLE
       withdrawn[a] = 0;
#endif
       skip
     }
#ifdef BUG_LEASE_BACK_AFTER_TRANSFER
  :: atomic { a == 0 && old_leads && given_up -> given_up = 0; check_L1 }
#endif
  od
}

/* Node 0 and a follower in term 1. */
proctype Term1(byte b) {
end:
  do
  /* Store liveness. */
  :: atomic { /* b supports 0 for some time more; the request carries 0's clock. */
       old_leads && (support_epoch[b] < epoch[b] || (supports(b) && support_until[b] < clock[0] + SUPPORT)) ->
       forward(b, clock[0]);
       support_epoch[b] = epoch[b]; withdrawn[b] = 0;
       support_until[b] = clock[0] + SUPPORT;
       check_L1
     }
  :: atomic { /* b withdraws: its own clock has passed what it promised. */
       support_epoch[b] != 0 && !withdrawn[b] &&
#ifdef BUG_WITHDRAWN_EARLY
         clock[b] + MAX_OFFSET >= support_until[b] ->
#else
         clock[b] >= support_until[b] ->
#endif
       withdrawn[b] = 1; promised[b] = 0; known[b] = 0
     }
  :: atomic { /* 0 hears of it, and begins a new epoch. */
       old_leads && support_epoch[b] == epoch[b] && withdrawn[b] && epoch[b] < EPOCH_MAX ->
       epoch[b]++; forward(0, clock[b]);
       check_L1
     }
  :: atomic { /* b asks, and 0 does not lead term 1, or not any more: there is nothing left to promise. */
#ifndef BUG_RELEASED_BY_LEADER
       !old_leads &&
#endif
       (promised[b] != 0 || known[b] != 0) ->
       promised[b] = 0; known[b] = 0; forward(b, clock[0])
     }
  /* Raft. */
  :: atomic { /* b acknowledges the leader, at an epoch it supports. */
       usable && !voted[b] && supports(b) && acknowledged[b] != epoch[b] ->
#ifndef BUG_NO_PROMISE
       promised[b] = epoch[b];
#endif
       acknowledged[b] = epoch[b];
       check_L1
     }
  :: atomic { /* 0 gives its lease up, then sends MsgTimeoutNow to 1. */
       usable && !timeout_now && b == 1 && !voted[1] && log_end[1] == log_end[0] ->
       given_up = 1; timeout_now = 1; handover = read_max
     }
  /* Clients, at the leader of term 1. A gateway's clock draws the timestamp. */
  :: atomic { /* The first write there ever is. */
       usable && acked == 0 && !voted[b] -> log_end[0] = 1; log_end[b] = 1; acked = 1
     }
  :: atomic { may_read(clock[b]) && (read_max < clock[b] || log_end[0] != acked) -> read(clock[b]) }
  :: atomic { b == 1 && may_read(clock[0]) && (read_max < clock[0] || log_end[0] != acked) -> read(clock[0]) }
  od
}

/* How a comes to lead term 2 with b. */
proctype Term2(byte a; byte b) {
end:
  do
  :: atomic { /* b votes for a, which wins. The answer carries b's clock. */
       campaigns[a] && !voted[b] && log_end[b] <= log_end[a] && (!bound(b) || (a == 1 && forced) || a == 0) ->
       leave_term(b);
#ifndef BUG_VOTE_WITHOUT_CLOCK
       forward(a, clock[b]);
#endif
       campaigns[a] = 0; new_leads[a] = 1
     }
  :: atomic { /* A read at the leader of term 2. What its log holds may not have applied. */
#ifdef BUG_SERVES_BEFORE_OWN_ENTRY
       new_leads[a] && acked != 0 ->
#else
       new_leads[a] && applied_own && acked != 0 ->
#endif
       assert((applied_own -> log_end[a] : 0) == acked) /* L3 */
     }
  :: atomic { /* The first entry of term 2 reaches b, too, and is applied: the lease begins. */
       new_leads[a] && !applied_own ->
       leave_term(b);
       log_end[b] = log_end[a];
#ifdef BUG_NO_HANDOVER
       floor_at = clock[a];
#else
       floor_at = MAX(clock[a], handover);
       forward(a, floor_at);
#endif
       start = floor_at;
       applied_own = 1;
       check_L1;
       assert(log_end[a] == acked) /* L3: it has what was acknowledged */
     }
  :: atomic { /* It writes above its floor. */
       new_leads[a] && applied_own && acked < 2 ->
       assert(read_max <= floor_at); /* L2 */
       log_end[a] = 2; log_end[b] = 2; acked = 2
     }
  :: atomic { /* The leader of term 1 hears of term 2. */
       a == 0 && old_leads && voted[b] -> leave_term(0)
     }
  od
}

init {
  atomic {
    run Node(0); run Node(1); run Node(2);
    run Term1(1); run Term1(2);
    run Term2(0, 1); run Term2(0, 2); run Term2(1, 0); run Term2(1, 2)
  }
}
