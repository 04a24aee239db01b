import { DescribeImagesCommand, type DescribeImagesCommandInput, type Image } from '@aws-sdk/client-ec2';
import { GetParameterCommand } from '@aws-sdk/client-ssm';
import type { Ec2Config } from '../../../contracts/config/ec2.ts';
import { BatonError } from '../../../contracts/errors.ts';
import { callEc2, type Ec2Clients } from './client.ts';

/** What is known of an image is looked up again after this, milliseconds: a new one of a family shows by then. */
const CACHE_MS = 300_000;

/** What instances boot from. */
export interface Ec2Image {
  id: string;
  /** `/dev/xvda`: the root volume can only be set by the name that the image gives it. */
  rootDevice: string;
  /** Size of its root volume; a new one may be larger. */
  rootGib: number | undefined;
}

type Source = NonNullable<Ec2Config['image']>;

/** Finds images, and remembers them for some minutes: a burst of runners asks once. */
export class Ec2Images {
  readonly #clients: Ec2Clients;
  readonly #cache = new Map<string, { image: Promise<Ec2Image>; until: number }>();

  constructor(clients: Ec2Clients) {
    this.#clients = clients;
  }

  /** @throws BatonError IMAGE_MISSING when there is none, or none that is usable */
  async find(source: Source, abort: AbortSignal): Promise<Ec2Image> {
    const key = JSON.stringify(source);
    const known = this.#cache.get(key);
    if (known !== undefined && known.until > Date.now()) return known.image;
    const image = this.#search(source, abort);
    this.#cache.set(key, { image, until: Date.now() + CACHE_MS });
    image.catch(() => this.#cache.delete(key));
    return image;
  }

  async #search(source: Source, abort: AbortSignal): Promise<Ec2Image> {
    if (source.ssm !== undefined)
      return this.#describe({ ImageIds: [await this.#readParameter(source.ssm, abort)] }, abort);
    if (source.id !== undefined) return this.#describe({ ImageIds: [source.id] }, abort);
    const filters = Object.entries(source.filter ?? {}).map(([Name, value]) => ({ Name, Values: [value] }));
    return this.#describe({ Filters: filters, ...(source.owner && { Owners: [source.owner] }) }, abort);
  }

  async #readParameter(name: string, abort: AbortSignal): Promise<string> {
    const doing = `looking up the image in SSM parameter ${name}`;
    const command = new GetParameterCommand({ Name: name });
    const { Parameter: parameter } = await callEc2(doing, abort, (o) => this.#clients.ssm.send(command, o), 'invalid');
    const value = parameter?.Value ?? '';
    if (/^ami-[0-9a-f]+$/.test(value)) return value;
    throw new BatonError('IMAGE_MISSING', `${doing}: it holds no image’s id`);
  }

  async #describe(what: DescribeImagesCommandInput, abort: AbortSignal): Promise<Ec2Image> {
    const text = JSON.stringify(what.ImageIds ?? what.Filters);
    const command = new DescribeImagesCommand(what);
    const answer = await callEc2(
      `looking for image ${text}`,
      abort,
      (o) => this.#clients.ec2.send(command, o),
      'invalid',
    );
    const usable = (answer.Images ?? []).filter(({ State }) => State === 'available');
    const newest = usable.toSorted((a, b) => getCreationTime(b) - getCreationTime(a))[0];
    if (newest?.ImageId !== undefined) {
      const rootDevice = newest.RootDeviceName ?? '/dev/xvda';
      const root = newest.BlockDeviceMappings?.find(({ DeviceName: name }) => name === rootDevice);
      return { id: newest.ImageId, rootDevice, rootGib: root?.Ebs?.VolumeSize };
    }
    throw new BatonError('IMAGE_MISSING', `looking for image ${text}: there is none that is available`);
  }
}

function getCreationTime({ CreationDate: date }: Image): number {
  return new Date(date ?? 0).getTime();
}
