-- Where every estimate lies on the information plane: one row an estimate, layer (NULL: mean over layers), order and
-- correction, of a table with the columns of measures. Entropy has no null and no order; it is repeated.
CREATE MACRO on_plane(rows) AS TABLE
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
    FROM query_table(rows) WHERE quantity = 'optimality' OR variable IN ('input', 'output') AND quantity = 'information'
    GROUP BY ALL
)
SELECT
    point.*, entropy.value AS entropy, entropy.se_draws AS entropy_se_draws,
    entropy.se_documents AS entropy_se_documents, entropy.draws AS entropy_draws
FROM point
LEFT JOIN (FROM query_table(rows) WHERE quantity = 'entropy') AS entropy
    ON point.estimate_id = entropy.estimate_id AND point.layer IS NOT DISTINCT FROM entropy.layer;

CREATE VIEW plane AS FROM on_plane('measures');
