import * as React from 'react';

import { dollars } from '../model/durations';
import { keyOf } from '../model/names';
import { billed, grouped, idleNow, selected, unplaced } from '../model/report';
import type { IInstance } from '../model/report';
import { priceOf } from '../model/money';
import { instanceSentence, instanceWords, nothingListed } from '../model/instancesentences';
import { FoldButton, Section, isFolded } from './folding';
import type { IReportProps } from './props';
import { Row, contextOf } from './row';
import { h } from './jsx';

/** The billed resources, and then the others. */
export function Resources(props: IReportProps): JSX.Element {
  const { report, trans, look } = props;
  const local = report.platform.kind === 'local';
  if (report.resources.filter(r => r.state !== 'Deleted').length === 0) {
    return (
      <p className="jp-AS-section" data-section="none">
        {nothingListed(report, trans)}
      </p>
    );
  }
  const resources = selected(report.resources, look.filter, look.order);
  const instances = grouped(resources);
  const paid = instances.filter(billed);
  const free = instances.filter(instance => !billed(instance));
  const idle = <ShutDownIdle {...props} />;
  return (
    <>
      {paid.length > 0 && (
        <Section {...props} fold="billed" label={trans.__('Billed now')} side={idle}>
          {paid.map(instance => (
            <Instance key={instance.type} {...props} instance={instance} />
          ))}
        </Section>
      )}
      {free.length > 0 && (
        <Section
          {...props}
          fold="free"
          label={local || unplaced(report).length > 0 ? trans.__('Running') : trans.__('Free')}
          side={
            paid.length === 0 ? (
              idle
            ) : (
              <span className="jp-AS-count">
                {free.flatMap(i => i.apps.flatMap(({ inside }) => inside)).length}
              </span>
            )
          }
        >
          {free.map(instance => (
            <Apps key={instance.type} {...props} instance={instance} />
          ))}
        </Section>
      )}
      {instances.length === 0 && (
        <p className="jp-AS-section" role="status">
          {trans.__('Nothing matches the filter.')}
        </p>
      )}
    </>
  );
}

function ShutDownIdle({ report, trans, actions }: IReportProps): JSX.Element | null {
  if (idleNow(report).length === 0) {
    return null;
  }
  return (
    <button
      className="jp-AS-link"
      title={trans.__('Shut down all that is idle now; asks first')}
      onClick={actions.removeIdle}
    >
      {trans.__('Shut down idle…')}
    </button>
  );
}

interface IInstanceProps extends IReportProps {
  instance: IInstance;
}

/** A billed instance: its price, its state, and what is on it. */
function Instance(props: IInstanceProps): JSX.Element {
  const { instance, report, trans } = props;
  const [open, setOpen] = React.useState(false);
  const context = contextOf(props);
  const fold = `instance ${instance.type}`;
  const name = instance.type || trans.__('this instance');
  const price = priceOf(instance.type, report);
  const words = instanceWords(instance, context);
  return (
    <div className="jp-AS-instance" data-instance={instance.type}>
      <div className="jp-AS-line">
        <h3>
          <FoldButton {...props} fold={fold} label={name} />
        </h3>
        <span
          className="jp-AS-price"
          title={
            price === null
              ? trans.__('The price is not known here.')
              : trans.__('List price as of %1.', report.savings.priced_as_of)
          }
        >
          {price === null ? trans.__('price unknown') : trans.__('%1/h', dollars(price))}
        </span>
        <button
          className="jp-AS-word"
          aria-expanded={open}
          aria-label={trans.__('%1: %2. Details', name, words)}
          title={instanceSentence(instance, context)}
          onClick={() => setOpen(!open)}
        >
          {words}
        </button>
      </div>
      {open && <p className="jp-AS-details">{instanceSentence(instance, context)}</p>}
      {!isFolded(props, fold) && <Apps {...props} />}
    </div>
  );
}

function Apps(props: IInstanceProps): JSX.Element {
  const { instance } = props;
  return (
    <>
      {instance.apps.map(({ app, inside }) => (
        <ul key={app?.id ?? ''}>
          {app !== null && <Row {...props} resource={app} empty={inside.length === 0} />}
          {(app === null || !isFolded(props, keyOf(app))) &&
            inside.map(resource => (
              <Row key={keyOf(resource)} {...props} resource={resource} inside={app !== null} />
            ))}
        </ul>
      ))}
    </>
  );
}
