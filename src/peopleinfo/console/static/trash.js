// The people in the trash: restores a person, or erases it after a confirmation.

import { call } from "./api.js";
import { $, h, on, put } from "./dom.js";
import { notify, showProblem } from "./notifications.js";
import { fullName, moment } from "./people.js";

const list = $("#people");
const dialog = $("#confirm");
let cursor = "";

async function load() {
  const page = await call("GET", `/v1/trash?limit=100${cursor}`);
  cursor = page.next_cursor ? `&cursor=${page.next_cursor}` : "";
  list.append(...page.people.map(entry));
  update();
}

function update() {
  $("#empty").hidden = list.children.length || cursor;
  $("#more").hidden = !cursor;
}

function entry(person) {
  const name = fullName(person);
  const restore = h("button.small", { type: "button", "aria-label": `Restore ${name}` }, "Restore");
  const erase = h("button.small.danger", { type: "button", "aria-label": `Erase ${name} now` }, "Erase now");
  const text = `Deleted ${moment(person.deleted_at)} by ${person.deleted_by ?? "an unknown user"}. Erased after ${moment(person.erased_after)}.`;
  const item = h("li.card", null, h("div", null, h("b", null, name), h("p.hint", null, text)), h("div.actions", null, restore, erase));
  const path = `/v1/trash/${person.person_id}`;
  on(restore, "click", () => act(item, `${name} has been restored.`, "POST", `${path}/restore`));
  on(erase, "click", () => {
    put("#question", `Erase ${name}?`);
    dialog.returnValue = "";
    dialog.onclose = () => dialog.returnValue && act(item, `${name} has been erased.`, "DELETE", path);
    dialog.showModal();
  });
  return item;
}

/** Send the request of an action, and remove the person from the list. */
async function act(item, done, method, path) {
  item.inert = true;
  try {
    await call(method, path);
    notify(done);
    item.remove();
    update();
    $("#title").focus();
  } catch (reason) {
    notify(reason.message, "bad");
    item.inert = false;
  }
}

on("#more", "click", load);
load().catch(showProblem);
