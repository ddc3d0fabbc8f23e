-- Add to the groups what has come, and take off what has gone. Left over are those for which that
-- does not settle everything: new groups, groups that may be empty now, lost extremes.
@{folded}
