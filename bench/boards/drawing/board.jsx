// One board over answers that are given, drawn with the components that Grafana itself uses.
// What the package lacks (pie, gauge, state timeline) has a stand-in, and says so.
// Required, not imported: as modules the packages cannot use the older ones below them.
const React = require('react');
const { createRoot } = require('react-dom/client');
const {
  createDataFrame, createTheme, dateTime, EventBusSrv, FieldType, getDisplayProcessor, ThemeContext,
  VizOrientation,
} = require('@grafana/data');
const {
  BarGauge, BigValue, BigValueColorMode, BigValueGraphMode, BigValueJustifyMode, BigValueTextMode,
  GlobalStyles, LegendDisplayMode, PanelChrome, PanelContextProvider, PortalContainer, Table,
  TimeSeries,
} = require('@grafana/ui');

const COLUMNS = 24, UNIT = 38, GAP = 8, WIDTH = 1600;
const COLUMN = (WIDTH - 2 * GAP) / COLUMNS;
const theme = createTheme({ colors: { mode: 'dark' } });

const WITH_PALETTE = ['timeseries', 'piechart'];
// What Grafana puts where a board says nothing.
const THRESHOLDS = {
  mode: 'absolute', steps: [{ value: null, color: 'green' }, { value: 80, color: 'red' }],
};

function fieldConfig(panel, name) {
  const { defaults, overrides } = panel.fieldConfig;
  const mode = WITH_PALETTE.includes(panel.type) ? 'palette-classic' : 'thresholds';
  const config = structuredClone({ color: { mode }, thresholds: THRESHOLDS, ...defaults });
  for (const { matcher, properties } of overrides) {
    const isMeant = matcher.id === 'byName'
      ? matcher.options === name
      : new RegExp(matcher.options.slice(1, matcher.options.lastIndexOf('/'))).test(name);
    for (const { id, value } of isMeant ? properties : []) {
      if (id.startsWith('custom.')) {
        config.custom = { ...config.custom, [id.slice('custom.'.length)]: value };
      } else {
        config[id] = value;
      }
    }
  }
  // Grafana writes the lowest step's lower end as null.
  for (const step of config.thresholds?.steps ?? []) {
    step.value ??= -Infinity;
  }
  return config;
}

function field(panel, name, values, position) {
  const made = {
    name, values: values.map((value) => (value === null ? null : Number(value))), type: FieldType.number, labels: {},
    config: { ...fieldConfig(panel, name), displayName: name || undefined },
    state: { seriesIndex: position },
  };
  made.display = getDisplayProcessor({ field: made, theme });
  return made;
}

const allSeries = (answers) => answers.flatMap((answer) => answer.series);

// One frame with a column for each series, since a colour goes by the place of a column.
function wideFrame(panel, answers) {
  const series = allSeries(answers);
  const times = [...new Set(series.flatMap((one) => one.times))].sort((a, b) => a - b);
  const columns = series.map((one, position) => {
    const at = new Map(one.times.map((time, index) => [time, one.values[index]]));
    const values = times.map((time) => at.get(time) ?? null);
    const made = field(panel, one.name || panel.title, values, position);
    made.config.custom = { drawStyle: 'line', axisPlacement: 'auto', ...made.config.custom };
    return made;
  });
  const frame = createDataFrame({
    fields: [{ name: 'Time', type: FieldType.time, values: times, config: {} }, ...columns],
  });
  frame.fields.forEach((one, index) => { one.state = { seriesIndex: index - 1 }; });
  return frame;
}

function Lines({ panel, answers, width, height, range }) {
  const frame = wideFrame(panel, answers);
  if (frame.length === 0) return <Nothing />;
  const legend = {
    ...panel.options.legend, showLegend: true, displayMode: LegendDisplayMode.List,
    placement: 'bottom', calcs: [],
  };
  return (
    <TimeSeries frames={[frame]} width={width} height={height} timeRange={range} timeZone="utc"
      legend={legend} />
  );
}

function last(series) {
  return Number(series.values.at(-1));
}

function Stats({ panel, answers, width, height }) {
  const series = allSeries(answers);
  if (series.length === 0) return <Nothing />;
  const each = width / series.length;
  const isCourse = panel.options.graphMode === 'area';
  return (
    <div style={{ display: 'flex' }}>
      {series.map((one, position) => {
        const shown = field(panel, one.name || panel.title, one.values, position);
        const value = shown.display(last(one));
        const [least, most] = [Math.min(...shown.values), Math.max(...shown.values)];
        shown.state.range = { min: least, max: most, delta: most - least };
        const course = createDataFrame({
          fields: [{ name: 'Time', type: FieldType.time, values: one.times, config: {} }, shown],
        });
        return (
          <BigValue key={position} theme={theme} width={each} height={height}
            value={{ ...value, title: one.name }} justifyMode={BigValueJustifyMode.Auto}
            colorMode={panel.options.colorMode === 'none'
              ? BigValueColorMode.None : BigValueColorMode.Value}
            graphMode={isCourse ? BigValueGraphMode.Area : BigValueGraphMode.None}
            sparkline={isCourse && one.values.length > 1
              ? { x: course.fields[0], y: shown } : undefined}
            textMode={panel.options.textMode === 'value'
              ? BigValueTextMode.Value : BigValueTextMode.ValueAndName} />
        );
      })}
    </div>
  );
}

function Bars({ panel, answers, width, height }) {
  const series = allSeries(answers);
  if (series.length === 0) return <Nothing />;
  const most = Math.max(...series.map(last));
  const each = Math.min(36, height / series.length);
  return series.map((one, position) => {
    const shown = field(panel, one.name || panel.title, one.values, position);
    const { min = 0, max = most || 1 } = shown.config;
    shown.config = { ...shown.config, min, max };
    const value = { ...shown.display(last(one)), title: one.name };
    return (
      <BarGauge key={position} theme={theme} width={width} height={each - 4} field={shown.config}
        value={value} display={shown.display} orientation={VizOrientation.Horizontal}
        displayMode={panel.options.displayMode ?? 'basic'} itemSpacing={4} showUnfilled />
    );
  });
}

function merged(panel, answers) {
  const rows = new Map();
  for (const answer of answers) {
    for (const one of answer.series) {
      const { __name__: _, ...labels } = one.labels;
      const key = JSON.stringify(Object.entries(labels).sort());
      rows.set(key, { ...rows.get(key), ...labels, [answer.legend]: last(one) });
    }
  }
  const first = answers[0].legend;
  const sorted = [...rows.values()].sort((a, b) => (b[first] ?? -1) - (a[first] ?? -1));
  const names = [...new Set(sorted.flatMap(Object.keys))];
  const legends = answers.map((answer) => answer.legend);
  return createDataFrame({
    fields: names.map((name, position) => {
      const values = sorted.map((row) => row[name] ?? null);
      if (legends.includes(name)) return field(panel, name, values, position);
      const text = { name, type: FieldType.string, values, config: {} };
      text.display = getDisplayProcessor({ field: text, theme });
      return text;
    }),
  });
}

function Rows({ panel, answers, width, height }) {
  const frame = merged(panel, answers);
  if (frame.length === 0) return <Nothing />;
  return <Table data={frame} width={width} height={height} />;
}

const Nothing = () => <div className="nothing">No data</div>;

const StandIn = (Drawn) => (props) => (
  <>
    <div className="stand-in">drawn by a stand-in</div>
    <Drawn {...props} height={props.height - 18} />
  </>
);

const VIEWS = {
  stat: Stats, bargauge: Bars, timeseries: Lines, table: Rows,
  gauge: StandIn(Bars), piechart: StandIn(Bars), 'state-timeline': StandIn(Lines),
};

function Panel({ panel, answers, range }) {
  const { x, y, w, h } = panel.gridPos;
  const width = w * COLUMN - GAP, height = h * UNIT - GAP;
  const place = { position: 'absolute', left: GAP + x * COLUMN, top: y * UNIT, width, height };
  if (panel.type === 'row') return <h2 style={place}>{panel.title}</h2>;
  const View = VIEWS[panel.type];
  return (
    <div style={place}>
      <PanelChrome title={panel.title} description={panel.description} width={width} height={height}>
        {(w, h) => <View panel={panel} answers={answers} width={w} height={h} range={range} />}
      </PanelChrome>
    </div>
  );
}

function Board({ board, answers, from, to }) {
  const range = { from: dateTime(from), to: dateTime(to), raw: { from: 'now-24h', to: 'now' } };
  const bottom = Math.max(...board.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={{ eventsScope: 'board', eventBus: new EventBusSrv() }}>
        <header>
          <h1>{board.title}</h1>
          <p>A day of demo traffic. Drawn with Grafana&rsquo;s own components, not by a Grafana.</p>
        </header>
        <main style={{ position: 'relative', width: WIDTH, height: bottom * UNIT + GAP }}>
          {board.panels.map((panel) => (
            <Panel key={panel.id} panel={panel} answers={answers[panel.id]} range={range} />
          ))}
        </main>
      </PanelContextProvider>
      <PortalContainer />
    </ThemeContext.Provider>
  );
}

const given = await (await fetch(`${location.search.slice(1)}.json`)).json();
createRoot(document.getElementById('board')).render(<Board {...given} />);
