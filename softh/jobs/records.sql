-- The record of every job. Version 1 had neither `person` nor `ended_jobs`. Files of earlier releases also hold tables
-- of huey, a queue that softh no longer uses; nothing reads them.

CREATE TABLE IF NOT EXISTS jobs (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    kind      TEXT NOT NULL,              -- what runs it, see tasks.py
    spec      TEXT NOT NULL,              -- canonical JSON; the same is never queued twice
    title     TEXT NOT NULL,              -- for people
    options   TEXT NOT NULL DEFAULT '{}', -- JSON: what decides where it runs, never what it gives
    state     TEXT NOT NULL DEFAULT 'queued'
              CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'interrupted')),
    deaths    INTEGER NOT NULL DEFAULT 0, -- how often its process was killed while the worker lived
    asked_to_stop INTEGER NOT NULL DEFAULT 0,
    submitted REAL NOT NULL,              -- seconds since 1970, as all times here
    started   REAL,                       -- last time it was taken up
    ended     REAL,
    phase     TEXT,
    done      INTEGER,                    -- steps of the phase
    total     INTEGER,
    phase_from  INTEGER,                  -- steps already done when the phase was first heard of …
    phase_began REAL,                     -- … and when: what is remembered on disk takes no time and tells no rate
    updated   REAL,
    result    TEXT,                       -- id of what it made; of a sweep a sentence
    message   TEXT,                       -- one sentence: why it failed or was interrupted; what of it runs now
    person    TEXT NOT NULL DEFAULT ''    -- address of whoever submitted it; empty where nobody signs in
);
CREATE UNIQUE INDEX IF NOT EXISTS one_open ON jobs (kind, spec) WHERE state IN ('queued', 'running', 'interrupted');
CREATE INDEX IF NOT EXISTS by_state ON jobs (state, id);

-- Every change of state, written in the same transaction: that a job ends once can be read here.
CREATE TABLE IF NOT EXISTS events (job INTEGER NOT NULL, at REAL NOT NULL, state TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_job ON events (job);
CREATE TRIGGER IF NOT EXISTS submitted AFTER INSERT ON jobs BEGIN
    INSERT INTO events VALUES (NEW.id, NEW.submitted, NEW.state);
END;
CREATE TRIGGER IF NOT EXISTS changed AFTER UPDATE OF state ON jobs WHEN NEW.state IS NOT OLD.state BEGIN
    INSERT INTO events VALUES (NEW.id, (julianday('now') - 2440587.5) * 86400, NEW.state);
END;
-- What has ended, for the metrics: outlasts the records, which people dismiss.
CREATE TABLE IF NOT EXISTS ended_jobs (state TEXT PRIMARY KEY, jobs INTEGER NOT NULL, seconds REAL NOT NULL);
CREATE TRIGGER IF NOT EXISTS counted AFTER UPDATE OF state ON jobs
WHEN NEW.state IN ('done', 'failed', 'cancelled') AND OLD.state IN ('queued', 'running', 'interrupted') BEGIN
    INSERT INTO ended_jobs VALUES (NEW.state, 1, NEW.ended - coalesce(NEW.started, NEW.ended))
    ON CONFLICT (state) DO UPDATE SET jobs = jobs + 1, seconds = seconds + excluded.seconds;
END;
CREATE TRIGGER IF NOT EXISTS deleted AFTER DELETE ON jobs BEGIN
    DELETE FROM events WHERE job = OLD.id;
END;
