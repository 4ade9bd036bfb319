// SPDX-License-Identifier: EUPL-1.2

// Makes pages a little better: they know when something changed. Without this everything works as well.
// A region that says [data-live] is renewed by itself; any other page says that there is news, and moves nothing.
(() => {
  "use strict";

  const main = document.querySelector("main[data-events]");
  if (!main || !window.EventSource) {
    return;
  }
  const KEY = "stam-adapter.live";
  const SOONEST = 5000;
  const news = document.querySelector("[data-news]");
  const place = document.querySelector("[data-live-switch]");
  const isLive = document.querySelector("[data-live]") !== null;
  let source = null;
  let planned = null;
  let last = Date.now();

  const wanted = () => localStorage.getItem(KEY) !== "off";

  function tell() {
    if (!news.hidden) {
      return;
    }
    const link = document.createElement("a");
    link.href = location.href;
    link.textContent = news.dataset.link;
    news.append(news.dataset.text + " ", link);
    news.hidden = false;
  }

  async function renew() {
    planned = null;
    last = Date.now();
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (!response.ok) {
        return;
      }
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      for (const region of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(region.id);
        // what somebody is in the middle of stays as it is until the next time
        if (fresh && !region.contains(document.activeElement) && !region.querySelector("details[open]")) {
          region.replaceChildren(...fresh.childNodes);
        }
      }
    } catch (problem) {
      console.info("the page could not be renewed", problem);
    }
  }

  function changed() {
    if (!isLive) {
      tell();
    } else if (planned === null) {
      planned = setTimeout(renew, Math.max(0, last + SOONEST - Date.now()));
    }
  }

  function follow() {
    const listen = wanted() && document.visibilityState === "visible";
    if (listen && source === null) {
      source = new EventSource(main.dataset.events);
      source.addEventListener("change", changed);
    } else if (!listen && source !== null) {
      source.close();
      source = null;
    }
  }

  const button = document.createElement("button");
  button.type = "button";
  button.className = "button button--quiet";
  const label = () => {
    button.textContent = wanted() ? place.dataset.on : place.dataset.off;
  };
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, wanted() ? "off" : "on");
    label();
    follow();
  });
  label();
  place.append(button);
  place.hidden = false;

  document.addEventListener("visibilitychange", () => {
    follow();
    if (document.visibilityState === "visible" && wanted() && isLive && Date.now() - last > SOONEST) {
      changed();
    }
  });
  addEventListener("pagehide", () => source?.close());
  follow();
})();
