-- The login that Experience Platform uses does not exist: somebody has dropped it, or the database
-- was restored on a server without its roles.  No other login can take its place by itself, since
-- nobody knows its password any more; a rotation makes one.

SELECT format('login %I does not exist', :'login') AS finding,
    'CALL aep.rotate_credentials(...)' AS remedy
WHERE to_regrole(quote_ident(:'login')) IS NULL;
