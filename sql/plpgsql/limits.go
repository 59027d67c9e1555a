package plpgsql

// depthMax bounds how deep blocks, loops and branches are nested: each level is a few calls deep.
const depthMax = 500
