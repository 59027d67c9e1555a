// Databases of their own on the server at CAIRN_URL.
const { Client } = require('pg');

let made = 0;

// fresh makes a database and returns its name and where it is.
exports.fresh = async function () {
  const admin = new Client(process.env.CAIRN_URL);
  await admin.connect();
  const database = `node${Date.now()}_${process.pid}_${made++}`;
  await admin.query('CREATE DATABASE ' + database);
  const at = { host: admin.host, port: admin.port, user: admin.user, password: admin.password || '', database };
  await admin.end();
  return at;
};
