//! The plot: a panel for each scenario, a bar for each contestant, on one logarithmic scale.

use std::fmt::Write as _;

use crate::measure::Row;
use crate::report::number;

const LABELS: f64 = 250.0;
const PLOT: f64 = 560.0;
const VALUES: f64 = 110.0;
const BAR: f64 = 22.0;
const FIRST_DECADE: i32 = -1;
const LAST_DECADE: i32 = 7;

/// A panel: its title and its rows, the bare call first.
pub type Panel<'a> = (&'a str, &'a [Row]);

fn x(nanos: f64) -> f64 {
    let decades = f64::from(LAST_DECADE - FIRST_DECADE);
    let share = (nanos.max(1e-9).log10() - f64::from(FIRST_DECADE)) / decades;
    LABELS + PLOT * share.clamp(0.0, 1.0)
}

fn decade(exponent: i32) -> &'static str {
    match exponent {
        -1 => "0.1 ns",
        0 => "1 ns",
        1 => "10 ns",
        2 => "100 ns",
        3 => "1 µs",
        4 => "10 µs",
        5 => "100 µs",
        6 => "1 ms",
        _ => "10 ms",
    }
}

/// The plot of what calls cost over the bare call.
#[must_use]
pub fn plot(header: &str, panels: &[Panel<'_>]) -> String {
    let mut body = String::new();
    let mut y = 84.0;
    for (title, rows) in panels {
        let bare = rows[0].min;
        let _ = writeln!(body, r#"<text x="16" y="{}" class="panel">{title}</text>"#, y + 16.0);
        y += 28.0;
        let bottom = y + BAR * crate::measure::as_f64(rows.len() as u64 - 1);
        for exponent in FIRST_DECADE..=LAST_DECADE {
            let x = x(10_f64.powi(exponent));
            let _ = writeln!(
                body,
                r#"<line x1="{x:.1}" y1="{y:.1}" x2="{x:.1}" y2="{bottom:.1}" class="grid"/>"#
            );
            let middle = bottom + 15.0;
            let label = decade(exponent);
            let _ = writeln!(body, r#"<text x="{x:.1}" y="{middle:.1}" class="axis">{label}</text>"#);
        }
        for row in &rows[1..] {
            let over = row.min - bare;
            let end = x(over);
            let width = (end - LABELS).max(1.0);
            let class = if row.name.starts_with("ours") { "ours" } else { "peer" };
            let (top, base) = (y + 3.0, y + 16.0);
            let height = BAR - 6.0;
            let (label, name) = (LABELS - 8.0, row.name.replace('&', "&amp;"));
            let _ = writeln!(body, r#"<text x="{label}" y="{base:.1}" class="name">{name}</text>"#);
            let _ = writeln!(
                body,
                r#"<rect x="{LABELS}" y="{top:.1}" width="{width:.1}" height="{height}" class="{class}"/>"#
            );
            let (at, value) = (LABELS + width + 6.0, number(over));
            let _ = writeln!(
                body,
                r#"<text x="{at:.1}" y="{base:.1}" class="value">{value} ns</text>"#
            );
            y += BAR;
        }
        y = bottom + 44.0;
    }
    let width = LABELS + PLOT + VALUES;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}">
<style>
text {{ font-family: system-ui, "DejaVu Sans", Arial, sans-serif; fill: #222; }}
.title {{ font-size: 18px; font-weight: 600; }}
.sub {{ font-size: 12px; fill: #555; }}
.panel {{ font-size: 15px; font-weight: 600; }}
.name {{ font-size: 13px; text-anchor: end; }}
.value {{ font-size: 12px; paint-order: stroke; stroke: #fff; stroke-width: 3px; }}
.axis {{ font-size: 11px; fill: #555; text-anchor: middle; }}
.grid {{ stroke: #ddd; stroke-width: 1; }}
.ours {{ fill: #1f6fb4; }}
.peer {{ fill: #b0b7c0; }}
</style>
<rect width="100%" height="100%" fill="#fff"/>
<text x="16" y="30" class="title">Time of a call over the bare call, in ns, logarithmic</text>
<text x="16" y="52" class="sub">{header}</text>
{body}</svg>
"##
    )
}
