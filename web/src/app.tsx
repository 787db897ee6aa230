// The page begins here: one frame, one route, one page file at a time.
import { render } from "preact";

import { Frame } from "./ui/frame.tsx";
import "./ui/style.css";

const place = document.getElementById("app");
if (place) render(<Frame />, place);
