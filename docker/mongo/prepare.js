// Run by `start` in mongosh, again and again until it ends with 0: a replica set of one, and two users. Passwords come by
// the environment, as arguments are visible.

const MEMBER = "mongo:27017"; // the name by which hubs reach it
const SOON_MS = 30000; // for one member to elect itself
const FINAL = 3; // as in `start`
const WRONG_PASSWORD = 18; // AuthenticationFailed

const { MONGO_ROOT_USERNAME, MONGO_ROOT_PASSWORD, MONGO_USERNAME, MONGO_PASSWORD, MONGO_DATABASE } = process.env;
const admin = db.getSiblingDB("admin");

function give_up(why) {
  print(`MongoDB is not ready for hubs: ${why}`);
  quit(FINAL);
}

for (const name of ["MONGO_ROOT_USERNAME", "MONGO_ROOT_PASSWORD", "MONGO_USERNAME", "MONGO_PASSWORD", "MONGO_DATABASE"]) {
  if (!process.env[name]) give_up(`${name} is not set`);
}
if (MONGO_ROOT_USERNAME === MONGO_USERNAME) give_up("MONGO_ROOT_USERNAME and MONGO_USERNAME are the same");

// Fails where it was done before and mongod does not know yet; then the next attempt finds it.
if (!admin.hello().setName) {
  rs.initiate({ _id: "rs0", members: [{ _id: 0, host: MEMBER }] });
}
const until = Date.now() + SOON_MS;
while (!admin.hello().isWritablePrimary) {
  if (Date.now() > until) throw new Error("the replica set has no primary yet");
  sleep(200);
}

function logged_in() {
  try {
    admin.auth(MONGO_ROOT_USERNAME, MONGO_ROOT_PASSWORD);
    return true;
  } catch (error) {
    if (error.code === WRONG_PASSWORD) return false;
    throw error;
  }
}

if (!logged_in()) {
  // As long as there is no user, somebody on this machine may make the first one.
  try {
    admin.createUser({ user: MONGO_ROOT_USERNAME, pwd: MONGO_ROOT_PASSWORD, roles: ["root"] });
  } catch (error) {
    give_up(`MONGO_ROOT_PASSWORD is not the one that this database was made with (${error.codeName})`);
  }
  admin.auth(MONGO_ROOT_USERNAME, MONGO_ROOT_PASSWORD);
}
const owner = { pwd: MONGO_PASSWORD, roles: [{ role: "dbOwner", db: MONGO_DATABASE }] };
if (admin.getUser(MONGO_USERNAME)) {
  admin.updateUser(MONGO_USERNAME, owner);
} else {
  admin.createUser({ user: MONGO_USERNAME, ...owner });
}
print("MongoDB is ready for hubs");
