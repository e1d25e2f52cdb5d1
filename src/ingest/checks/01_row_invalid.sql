-- The row of aep.ingest_role makes no sense: somebody has edited it.  Nothing is done with such a
-- row but to forget it.

SELECT format('what aep.ingest_role says of role %I makes no sense: %s', :'role', :'problem') AS finding,
    format('UPDATE aep.ingest_role, or CALL aep.forget_ingest_role(%L)', :'role') AS remedy
WHERE :'problem' <> '';
