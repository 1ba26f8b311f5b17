-- What the queries read: the tables of the database ("packed") and the run files ("run", "run_measures") as one set of
-- tables, both with today's columns, whichever schema wrote them (migrations.py).
-- A run wins over a packed row of the same key; between runs, the newest wins.

CREATE VIEW estimates AS
SELECT unnest(estimate) FROM run
UNION ALL BY NAME
SELECT * FROM packed.estimates ANTI JOIN (SELECT estimate.estimate_id FROM run) USING (estimate_id);

CREATE VIEW packed_measures AS
SELECT * FROM packed.measures ANTI JOIN (SELECT estimate.estimate_id FROM run) USING (estimate_id);

CREATE VIEW measures AS FROM run_measures UNION ALL BY NAME FROM packed_measures;

CREATE VIEW models AS
WITH newest AS (SELECT unnest(arg_max(model, estimate.created_at)) FROM run GROUP BY model.model)
FROM newest
UNION ALL BY NAME
SELECT * FROM packed.models ANTI JOIN newest USING (model);

CREATE VIEW checkpoints AS
WITH newest AS (
    SELECT unnest(arg_max(checkpoint, estimate.created_at)) FROM run
    GROUP BY checkpoint.model, checkpoint.revision, checkpoint.digest
)
FROM newest
UNION ALL BY NAME
SELECT * FROM packed.checkpoints ANTI JOIN newest USING (model, revision, digest);

-- What is known of the model of each estimate: what its own run says, not what a later one of the same name does.
-- connection.py makes packed_estimate_models.
CREATE VIEW estimate_models AS
SELECT
    estimate.estimate_id, unnest(model), checkpoint.step AS step, checkpoint.tokens AS tokens
FROM run
UNION ALL BY NAME
SELECT * FROM packed_estimate_models ANTI JOIN (SELECT estimate.estimate_id FROM run) USING (estimate_id);

-- Imported scores ("score") come before packed ones of the same key; between files, the newest wins.
CREATE VIEW benchmarks AS
WITH newest AS (
    SELECT * EXCLUDE (schema_version, imported_at, file) FROM score
    QUALIFY row_number() OVER (PARTITION BY model, revision, task, metric, source ORDER BY imported_at DESC) = 1
)
FROM newest
UNION ALL BY NAME
SELECT old.* FROM packed.benchmarks AS old
ANTI JOIN newest ON old.model = newest.model AND old.revision IS NOT DISTINCT FROM newest.revision
    AND old.task = newest.task AND old.metric = newest.metric AND old.source = newest.source;

-- One row an estimate or probe. Two with equal settings (the specification without the model, the corpus or the pairs
-- named by their content) differ in nothing but the checkpoint and how exactly it was measured: draws and folds change
-- the errors, not what is estimated, and a later estimator adds values. Only those are comparable.
CREATE VIEW described AS
SELECT
    estimates.*, estimate_models.* EXCLUDE (estimate_id, model, step, tokens),
    estimate_models.step, estimate_models.tokens,
    loss.value AS bits_per_byte, loss.se_documents AS bits_per_byte_se_documents,
    json_merge_patch(spec, json_object(
        'model', NULL, 'revision', NULL, 'corpus', corpus_digest, 'pairs', NULL, 'draws', NULL, 'folds', NULL,
        'estimator', NULL
    ))::VARCHAR AS settings,
    estimate_id IN (SELECT estimate.estimate_id FROM run) AS own -- in data/runs and not packed yet
FROM estimates
JOIN estimate_models USING (estimate_id)
LEFT JOIN (FROM measures WHERE quantity = 'bits_per_byte' AND layer IS NULL) AS loss USING (estimate_id);

-- Estimates of the information plane, and probes of preferences, which are kept apart by what their labels are.
CREATE VIEW overview AS FROM described WHERE spec ->> 'labels' IS DISTINCT FROM 'preference';
CREATE VIEW probes AS FROM described WHERE spec ->> 'labels' = 'preference';
