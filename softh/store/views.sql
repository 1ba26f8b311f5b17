-- What the queries read: the packed database ("packed") and the run files ("run") as one set of tables.
-- A run wins over a packed row of the same key; between runs, the newest wins.

CREATE VIEW estimates AS
SELECT unnest(estimate) FROM run
UNION ALL BY NAME
SELECT * FROM packed.estimates ANTI JOIN (SELECT estimate.estimate_id FROM run) USING (estimate_id);

CREATE VIEW measures AS
SELECT estimate_id, unnest(measure) FROM (SELECT estimate.estimate_id, unnest(measures) AS measure FROM run)
UNION ALL BY NAME
SELECT * FROM packed.measures ANTI JOIN (SELECT estimate.estimate_id FROM run) USING (estimate_id);

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

CREATE VIEW benchmarks AS FROM packed.benchmarks;

-- One row an estimate. Two estimates with equal settings (the specification without the model, the corpus named by
-- its content) differ in nothing but the checkpoint and how exactly it was measured: draws and folds change the errors,
-- not what is estimated. Only those are comparable.
CREATE VIEW overview AS
SELECT
    estimates.*, models.* EXCLUDE (model), checkpoints.step, checkpoints.tokens,
    loss.value AS bits_per_byte, loss.se_documents AS bits_per_byte_se_documents,
    json_merge_patch(spec, json_object(
        'model', NULL, 'revision', NULL, 'corpus', corpus_digest, 'draws', NULL, 'folds', NULL
    ))::VARCHAR AS settings
FROM estimates
JOIN models USING (model)
JOIN checkpoints USING (model, revision, digest)
LEFT JOIN (FROM measures WHERE quantity = 'bits_per_byte' AND layer IS NULL) AS loss USING (estimate_id);

-- One row an estimate, layer (NULL: mean over layers), order and correction: where it lies on the information plane.
-- Entropy has no null and no order; it is repeated.
CREATE VIEW plane AS
WITH point AS (
    SELECT
        estimate_id, layer, ngram, correction,
        any_value(positions) AS positions,
        any_value(value) FILTER (variable = 'input') AS input,
        any_value(se_draws) FILTER (variable = 'input') AS input_se_draws,
        any_value(se_documents) FILTER (variable = 'input') AS input_se_documents,
        any_value(labels) FILTER (variable = 'input') AS input_labels,
        any_value(draws) FILTER (variable = 'input') AS input_draws,
        any_value(value) FILTER (variable = 'output') AS output,
        any_value(se_draws) FILTER (variable = 'output') AS output_se_draws,
        any_value(se_documents) FILTER (variable = 'output') AS output_se_documents,
        any_value(labels) FILTER (variable = 'output') AS output_labels,
        any_value(draws) FILTER (variable = 'output') AS output_draws,
        any_value(value) FILTER (quantity = 'optimality') AS optimality,
        any_value(se_draws) FILTER (quantity = 'optimality') AS optimality_se_draws,
        any_value(se_documents) FILTER (quantity = 'optimality') AS optimality_se_documents,
        any_value(draws) FILTER (quantity = 'optimality') AS optimality_draws
    FROM measures WHERE quantity IN ('information', 'optimality')
    GROUP BY ALL
)
SELECT
    point.*, entropy.value AS entropy, entropy.se_draws AS entropy_se_draws,
    entropy.se_documents AS entropy_se_documents, entropy.draws AS entropy_draws
FROM point
LEFT JOIN (FROM measures WHERE quantity = 'entropy') AS entropy
    ON point.estimate_id = entropy.estimate_id AND point.layer IS NOT DISTINCT FROM entropy.layer;
