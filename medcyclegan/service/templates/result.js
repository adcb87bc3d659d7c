"use strict";
// The page of a result: opens the viewer, and shows the name that this browser knows the input by.

const told = document.getElementById("told");
const known = sessionStorage.getItem(`name ${told.dataset.delivery}`);
if (known) told.textContent = `${known}, ${told.textContent.toLowerCase()}`;
document.querySelector("details.viewer")?.setAttribute("open", "");
