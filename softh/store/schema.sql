-- Tables of softh. Information and entropy are efficiencies, in units of log n (0 to 1),
-- unless a column says otherwise. A number without its provenance does not enter a table.
-- What a CHECK says holds for rows of run files, scores and older databases, too: rules.py asks it before they are read.

CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (3);

CREATE TABLE models (
    model        VARCHAR PRIMARY KEY,                                  -- name on the screen, e.g. 'SmolLM2-135M-Instruct (dequantised Q4_1)'
    family       VARCHAR NOT NULL,                                     -- e.g. 'SmolLM2'
    architecture VARCHAR NOT NULL,                                     -- class of transformers, e.g. 'LlamaForCausalLM'
    stage        VARCHAR,                                              -- 'base', 'instruct', …; NULL when unknown
    parameters   BIGINT NOT NULL CHECK (parameters > 0),               -- weights, tied ones once
    layers       INTEGER NOT NULL CHECK (layers BETWEEN 1 AND 100000), -- transformer layers; hidden states are one more
    width        INTEGER NOT NULL CHECK (width > 0),                   -- dimension of a hidden state
    vocabulary   INTEGER NOT NULL CHECK (vocabulary > 0),              -- rows of the embedding
    weights      VARCHAR NOT NULL,                                     -- 'safetensors', 'dequantised GGUF Q4_1', …
    source       VARCHAR NOT NULL,                                     -- hub id, package or program the weights come from
    size         VARCHAR,                                              -- name of the size within its family, e.g. '60M'; NULL when it has none
    training_seed BIGINT,                                              -- seed of its training; NULL when unknown
    parent       VARCHAR,                                              -- the model that it was made from; NULL when none or unknown
    ablation     VARCHAR,                                              -- what was spoiled on purpose, e.g. 'shuffled'; NULL for a model trained as well as could be
    former       VARCHAR                                               -- a former name, which links may have; NULL when there is none
);

CREATE TABLE checkpoints (
    model      VARCHAR NOT NULL,
    revision   VARCHAR NOT NULL,           -- branch, tag or step name; 'main' when there is only one
    digest     VARCHAR NOT NULL,           -- commit sha of the hub, or SHA-256 of the weight files
    step       BIGINT CHECK (step >= 0),   -- optimiser steps; NULL when unknown
    tokens     BIGINT CHECK (tokens >= 0), -- training tokens seen; NULL when unknown
    PRIMARY KEY (model, revision, digest)  -- a branch moves, and two folders may share a name
);

CREATE TABLE estimates (
    estimate_id      VARCHAR PRIMARY KEY,
    model            VARCHAR NOT NULL,
    revision         VARCHAR NOT NULL,
    digest           VARCHAR NOT NULL,                                                  -- of the checkpoint
    corpus           VARCHAR NOT NULL,                                                  -- e.g. 'c4-sample'
    corpus_digest    VARCHAR NOT NULL,                                                  -- SHA-256 of the sampled documents
    documents        INTEGER NOT NULL CHECK (documents >= 0),                           -- documents that gave positions
    positions        BIGINT NOT NULL CHECK (positions >= 0),                            -- token positions, the rows of Z
    context          INTEGER NOT NULL,                                                  -- tokens a document is truncated to
    bins             INTEGER NOT NULL,
    draws            INTEGER NOT NULL,
    frame            VARCHAR NOT NULL,
    centred          BOOLEAN NOT NULL,
    calibration      VARCHAR NOT NULL,
    temperature      DOUBLE NOT NULL,                                                   -- ε
    weighting        VARCHAR NOT NULL,
    folds            INTEGER NOT NULL,
    seed             BIGINT NOT NULL,
    reference_digest VARCHAR NOT NULL,                                                  -- SHA-256 of the reference directions
    dtype            VARCHAR NOT NULL,                                                  -- what ran, not what was asked for
    attention        VARCHAR NOT NULL,
    device           VARCHAR NOT NULL,
    versions         VARCHAR NOT NULL CHECK (json_valid(versions)),                     -- JSON, package → version
    seconds          DOUBLE NOT NULL CHECK (seconds >= 0),
    created_at       TIMESTAMP NOT NULL CHECK (year(created_at) BETWEEN 1970 AND 9999), -- UTC
    spec             VARCHAR NOT NULL CHECK (json_valid(spec)),                         -- canonical JSON of the EstimateSpec
    labels           VARCHAR NOT NULL,                                                  -- what is labelled: a name of LABELS in softh/quantities.py, or column:NAME; preference for a probe
    estimator        VARCHAR NOT NULL                                                   -- 'plug-in': raw and null-corrected values alone; else the version of the debiased ones
);

CREATE TABLE measures (
    estimate_id  VARCHAR NOT NULL,
    layer        INTEGER CHECK (layer BETWEEN 0 AND 100000), -- index as transformers returns hidden states, 0 the embedding; NULL the mean over layers 1 …
    quantity     VARCHAR NOT NULL,                           -- entropy, information, optimality, regularity, proportion, residual (efficiency or ratio); bits_per_byte (bits); those of softh/quantities.py without labels (units there)
    variable     VARCHAR,                                    -- input (X), output (Y); NULL where it has no meaning
    ngram        INTEGER CHECK (ngram BETWEEN 1 AND 4),      -- order of the n-gram label, 1 to 4; NULL where it has no meaning
    correction   VARCHAR NOT NULL,                           -- raw, null (same labels, shuffled), corrected (raw − null), debiased, lower (bound of information)
    value        DOUBLE,                                     -- NULL when undefined (a ratio over zero)
    se_draws     DOUBLE CHECK (se_draws >= 0),               -- standard error over draws of the reference directions; NULL for one draw
    se_documents DOUBLE CHECK (se_documents >= 0),           -- standard error over documents (jackknife)
    positions    BIGINT NOT NULL CHECK (positions >= 0),
    labels       BIGINT CHECK (labels >= 0),                 -- distinct labels
    draws        FLOAT[],                                    -- value of every draw, for the mean over layers; else NULL
    folds        FLOAT[]                                     -- value without each fold of documents; NULL where it is not kept
);

CREATE TABLE benchmarks (
    model    VARCHAR NOT NULL,
    revision VARCHAR,          -- NULL when the score belongs to the finished model
    task     VARCHAR NOT NULL,
    metric   VARCHAR NOT NULL, -- unit of the score, e.g. 'accuracy', 'normalised 0–100', 'bits per byte'
    score    DOUBLE NOT NULL,
    stderr   DOUBLE CHECK (stderr >= 0),
    source   VARCHAR NOT NULL
);
