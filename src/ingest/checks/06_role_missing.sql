-- The role that holds the grants does not exist: somebody has dropped it, or the database was
-- restored on a server without its roles.  What it was granted went with it; the other checks find
-- that once it is there again.

SELECT format('role %I does not exist', :'role') AS finding,
    format('CREATE ROLE %I NOLOGIN', :'role') AS remedy
WHERE to_regrole(quote_ident(:'role')) IS NULL;
